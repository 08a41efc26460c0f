// @ts-check
/**
 * Watching on Windows: changes by real msal-node in other processes, in a file that Windows encrypts.
 */
import assert from "node:assert/strict";
import { readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { startActor } from "../support/actor.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { hears, hearsNoMore, mail, openInScene, signIn, signOut, told, watch } from "../support/watching.mjs";

/**
 * For actors that were started before. On Windows a watched folder is removed only when its watchers have ended, and
 * the hooks at a test's end run in the order of their registration.
 *
 * @param {import("node:test").TestContext} t
 */
async function place(t) {
  const cachePath = join(await scratchDirectory(t), "größerer Ordner", "cache.bin");
  return { kind: "PersistenceCreator", cachePath };
}

test("sign-ins and sign-outs elsewhere are reported, own ones are not", async (t) => {
  const here = await startActor(t, process.env);
  const there = await startActor(t, process.env);
  const store = await place(t);
  await here.run(openInScene, { store });
  await there.run(openInScene, { store });
  await here.run(watch);
  await there.run(signIn, { user: mail("ada") });
  await hears(here, [mail("ada")]);
  assert.equal((await readFile(store.cachePath)).includes("ada@"), false, "it is not encrypted");

  await here.run(signIn, { user: mail("own") });
  await here.run(signOut, { user: mail("own") });
  await hearsNoMore(here);

  await there.run(signIn, { user: mail("bob") });
  await there.run(signOut, { user: mail("ada") });
  await hears(here, [mail("bob")]);
  await here.run(({ scene }) => scene.watcher.close());
  await there.run(signIn, { user: mail("cyd") });
  await hearsNoMore(here);
});

test("all of twenty quick sign-ins and sign-outs are reported, in few events", async (t) => {
  const here = await startActor(t, process.env);
  const there = await startActor(t, process.env);
  const store = await place(t);
  await here.run(openInScene, { store });
  await there.run(openInScene, { store });
  await here.run(watch);
  const began = performance.now();
  const left = [];
  for (let number = 0; number < 20; number += 1) {
    await there.run(signIn, { user: mail(`p${number}`) });
    if (number % 2 === 0) {
      left.push(mail(`p${number}`));
    } else {
      await there.run(signOut, { user: mail(`p${number}`) });
    }
  }
  await hears(here, left);
  const { changes } = await told(here);
  const most = Math.ceil((performance.now() - began) / 200) + 1;
  assert.ok(changes <= most, `${changes} events, at most ${most} are wanted`);
});

test("a directory that is removed and created again is watched again", async (t) => {
  const here = await startActor(t, process.env);
  const store = await place(t);
  const folder = dirname(store.cachePath);
  await here.run(openInScene, { store });
  await here.run(watch);
  for (const go of [() => rm(folder, { recursive: true }), () => rename(folder, `${folder} anderswo`)]) {
    const there = await startActor(t, process.env);
    await there.run(openInScene, { store });
    await there.run(signIn, { user: mail("ada") });
    await hears(here, [mail("ada")]);
    await there.kill();
    await go();
    await hears(here, []);
  }
});
