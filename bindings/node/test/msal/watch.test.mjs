// @ts-check
/**
 * Watching: every change by real msal-node in other processes is reported here, once, and at a limited rate.
 */
import assert from "node:assert/strict";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { test } from "node:test";
import { startActor } from "../support/actor.mjs";
import { output, until } from "../support/processes.mjs";
import { store as keep } from "../support/secrets.mjs";
import { ORIGINAL } from "../support/subject.mjs";
import { hears, hearsNoMore, mail, openInScene, signIn, signOut, told, watch } from "../support/watching.mjs";
import { enter, STORES } from "./situations.mjs";

for (const situation of STORES) {
  test(`${situation.name}: sign-ins and sign-outs elsewhere are reported, own ones are not`, async (t) => {
    const { session, store } = await enter(t, situation);
    const [here, there] = await Promise.all([startActor(t, session.env), startActor(t, session.env)]);
    await Promise.all([here.run(openInScene, { store }), there.run(openInScene, { store })]);
    await here.run(watch);
    await there.run(signIn, { user: mail("ada") });
    await hears(here, [mail("ada")]);
    const { text } = await told(here);
    assert.doesNotMatch(text, /secret|token/i);
    assert.match(JSON.parse(text)[0].added[0].homeAccountId, /^[^.]+\.[^.]+$/);

    await here.run(signIn, { user: mail("own") });
    await here.run(signOut, { user: mail("own") });
    await hearsNoMore(here);
    assert.doesNotMatch((await told(here)).text, /own@/);

    await there.run(signIn, { user: mail("bob") });
    await there.run(signOut, { user: mail("ada") });
    await hears(here, [mail("bob")]);
    // An account that this process signed in, signed out by the other.
    await here.run(signIn, { user: mail("own") });
    await here.run(({ scene, own }) => void scene.people.add(own), { own: mail("own") });
    await there.run(signOut, { user: mail("own") });
    await hears(here, [mail("bob")]);
    await hearsNoMore(here);

    await here.run(({ scene }) => scene.watcher.close());
    await there.run(signIn, { user: mail("cyd") });
    await hearsNoMore(here);
  });

  test(`${situation.name}: all changes of eight processes are reported, in few events`, async (t) => {
    const { session, store } = await enter(t, situation);
    const here = await startActor(t, session.env);
    await here.run(openInScene, { store });
    await here.run(watch);
    const began = performance.now();
    const crowd = await Promise.all(Array.from({ length: 7 }, () => startActor(t, session.env)));
    const left = await Promise.all(
      crowd.map((actor, index) =>
        actor.run(
          async ({ tools, scene, store, index }) => {
            Object.assign(scene, await tools.open(store));
            const left = [];
            for (let number = 0; number < 6; number += 1) {
              const user = `p${index}-${number}@contoso.example`;
              await tools.signInWithRefreshToken(scene.client, user);
              if (number % 2 === 0) {
                left.push(user);
              } else {
                const account = await tools.accountNamed(scene.client, user);
                await scene.client.getTokenCache().removeAccount(account);
              }
            }
            return left;
          },
          { store, index },
        ),
      ),
    );
    await hears(here, left.flat());
    const { changes } = await told(here);
    const most = Math.ceil((performance.now() - began) / 200) + 1;
    assert.ok(changes <= most, `${changes} events, at most ${most} are wanted`);
    await hearsNoMore(here);
  });
}

const [FILE, KEYRING] =
  /** @type {[import("./situations.mjs").Situation, import("./situations.mjs").Situation]} */ (STORES);

test("two hundred quick writes cause few events, and the last one is correct", async (t) => {
  const { session, store } = await enter(t, FILE);
  const [here, there] = await Promise.all([startActor(t, session.env), startActor(t, session.env)]);
  await here.run(openInScene, { store });
  await here.run(watch);
  const took = await there.run(
    async ({ ext, path }) => {
      const persistence = await ext.FilePersistence.create(path, undefined, { durability: "cached" });
      const began = performance.now();
      for (let number = 0; number <= 200; number += 1) {
        const home_account_id = `${number}.tenant`;
        const account = { home_account_id, environment: "login.windows.net", username: `p${number}` };
        await persistence.save(JSON.stringify({ Account: { [home_account_id]: account } }));
      }
      return performance.now() - began;
    },
    { path: store.cachePath },
  );
  await hears(here, ["p200"]);
  const { changes } = await told(here);
  assert.ok(changes <= Math.ceil(took / 200) + 3, `${changes} events in ${took} ms`);
});

test("a directory that is removed and created again is watched again", async (t) => {
  const { session, store } = await enter(t, FILE);
  const folder = dirname(store.cachePath);
  const here = await startActor(t, session.env);
  await here.run(openInScene, { store });
  await here.run(watch);
  for (let round = 0; round < 3; round += 1) {
    const there = await startActor(t, session.env);
    await there.run(openInScene, { store });
    await there.run(signIn, { user: mail("ada") });
    await hears(here, [mail("ada")]);
    await there.run(signIn, { user: mail("bob") });
    await hears(here, [mail("ada"), mail("bob")]);
    await there.kill();
    if (round === 1) {
      await rename(folder, `${folder}-elsewhere`);
    } else {
      await rm(folder, { recursive: true });
    }
    await hears(here, []);
  }
  await mkdir(folder);
  const account = { home_account_id: "a.b", environment: "login.windows.net", username: "eve" };
  await writeFile(store.cachePath, JSON.stringify({ Account: { key: account } }));
  await hears(here, ["eve"]);
});

test("an unreadable cache causes one warning and signs no account out", async (t) => {
  const { session, store } = await enter(t, FILE);
  const [here, there] = await Promise.all([startActor(t, session.env), startActor(t, session.env)]);
  await there.run(openInScene, { store });
  await there.run(signIn, { user: mail("ada") });
  await here.run(
    async ({ ext, scene, path }) => {
      scene.warnings = [];
      const loggerCallback = (/** @type {number} */ level, /** @type {string} */ message) =>
        void (level <= 1 && scene.warnings.push(message));
      const persistence = await ext.FilePersistence.create(path, { loggerCallback });
      scene.plugin = new ext.PersistenceCachePlugin(persistence);
    },
    { path: store.cachePath },
  );
  await here.run(watch);
  await writeFile(store.cachePath, "no token cache, and it stays that way");
  const warnings = () => here.run(({ scene }) => scene.warnings);
  await until("a warning", async () => (await warnings()).length > 0, { deadline: 20_000 });
  await hearsNoMore(here);
  const account = { home_account_id: "a.b", environment: "login.windows.net", username: "eve" };
  await here.run(({ scene, ada }) => void scene.people.add(ada), { ada: mail("ada") });
  await writeFile(store.cachePath, JSON.stringify({ Account: { key: account } }));
  await hears(here, ["eve"]);
  assert.equal((await warnings()).length, 1, (await warnings()).join("\n"));
});

test("a keyring item written without its marker is noticed when it is read again", async (t) => {
  const { session, store } = await enter(t, KEYRING);
  const here = await startActor(t, session.env);
  await here.run(openInScene, { store });
  await here.run(watch, { options: { rereadEvery: 500 } });
  const account = { home_account_id: "a.b", environment: "login.windows.net", username: "eve" };
  const item = { service: "tokenkeep tests", account: "cache" };
  await keep(session, item, JSON.stringify({ Account: { key: account } }));
  await hears(here, ["eve"]);
});

test("changes by the original in another process are reported", async (t) => {
  const { session, store } = await enter(t, FILE);
  const [here, there] = await Promise.all([startActor(t, session.env), startActor(t, session.env, ORIGINAL)]);
  await Promise.all([here.run(openInScene, { store }), there.run(openInScene, { store })]);
  await here.run(watch);
  await there.run(signIn, { user: mail("ada") });
  await hears(here, [mail("ada")]);
});

test("a watcher does not keep the process alive", async (t) => {
  const { session, store } = await enter(t, FILE);
  const program = `
    import { FilePersistence, PersistenceCachePlugin } from "tokenkeep";
    const plugin = new PersistenceCachePlugin(await FilePersistence.create(${JSON.stringify(store.cachePath)}));
    await plugin.watch(() => {});
    console.log("watching");`;
  const words = ["--input-type=module", "--eval", program];
  const cwd = new URL("..", import.meta.url).pathname;
  assert.equal(
    await output(process.execPath, words, { cwd, env: session.env, deadline: 20_000 }),
    "watching\n",
  );
});
