// @ts-check
/**
 * A process is killed during a write, with the lock. The next process signs in at once, and the accounts that were
 * signed in stay.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startActor } from "../support/actor.mjs";
import { until } from "../support/processes.mjs";
import { enter, STORES } from "./situations.mjs";

const OLD = ["ada@contoso.example", "bob@contoso.example", "cyd@contoso.example"];

/** The longest delay in milliseconds that a crash may cause the next process: a goal of the project. */
const RECOVERY_MS = 1_000;

/**
 * Signs three accounts in and kills their process between lock and save.
 *
 * @param {import("node:test").TestContext} t
 * @param {import("./situations.mjs").Situation} situation
 */
async function afterACrash(t, situation) {
  const { session, store } = await enter(t, situation);
  const doomed = await startActor(t, session.env);
  await doomed.run(
    async ({ tools, scene, store, users }) => {
      Object.assign(scene, await tools.open(store));
      for (const user of users) {
        await tools.signInWithRefreshToken(scene.client, user);
      }
      // From now on a save never ends, so the process keeps the lock.
      scene.plugin.persistence.save = () => {
        scene.saving = true;
        return new Promise(() => {});
      };
      void tools.signInWithRefreshToken(scene.client, "dan@contoso.example");
    },
    { store, users: OLD },
  );
  await until("the write that will be interrupted", () => doomed.run(({ scene }) => scene.saving === true));
  await doomed.kill();
  return { session, store };
}

for (const situation of STORES) {
  test(`${situation.name}: after a crash in a write, a new process signs an account in within a second, and the others stay`, async (t) => {
    const { session, store } = await afterACrash(t, situation);
    const next = await startActor(t, session.env);
    const { naps, stored } = await next.run(
      async ({ tools, timed, store }) => {
        // 20 s: less than the original's 50, so that the test ends, and far more than the recovery may take.
        const { client } = await tools.open(store, { lock: { retryNumber: 200, retryDelay: 100 } });
        const { naps } = await timed(() => tools.signInWithRefreshToken(client, "eve@contoso.example"));
        return { naps, stored: await tools.usernames(client) };
      },
      { store },
    );
    assert.deepEqual(stored, [...OLD, "eve@contoso.example"]);
    assert.ok(naps < RECOVERY_MS, `recovery took ${naps} naps`);
  });

  test(`${situation.name}: after a crash in a write, a new process lists all accounts within a second`, async (t) => {
    const { session, store } = await afterACrash(t, situation);
    const next = await startActor(t, session.env);
    const { naps, stored } = await next.run(
      async ({ tools, timed, store }) => {
        const { client } = await tools.open(store, { lock: { retryNumber: 200, retryDelay: 100 } });
        const { result: stored, naps } = await timed(() => tools.usernames(client));
        return { naps, stored };
      },
      { store },
    );
    assert.deepEqual(stored, OLD);
    assert.ok(naps < RECOVERY_MS, `recovery took ${naps} naps`);
  });

  test(`${situation.name}: a sign-in that cannot get the lock fails and removes no account`, async (t) => {
    const { session, store } = await enter(t, situation);
    const holder = await startActor(t, session.env);
    await holder.run(
      async ({ tools, scene, store, users }) => {
        Object.assign(scene, await tools.open(store));
        for (const user of users) {
          await tools.signInWithRefreshToken(scene.client, user);
        }
        const save = scene.plugin.persistence.save.bind(scene.plugin.persistence);
        scene.gate = new Promise((resolve) => {
          scene.letGo = resolve;
        });
        scene.plugin.persistence.save = async (/** @type {string} */ content) => {
          scene.saving = true;
          await scene.gate;
          return save(content);
        };
        scene.late = tools.signInWithRefreshToken(scene.client, "dan@contoso.example");
      },
      { store, users: OLD },
    );
    await until("a living holder", () => holder.run(({ scene }) => scene.saving === true));

    const impatient = await startActor(t, session.env);
    await assert.rejects(
      impatient.run(
        async ({ tools, store }) => {
          const { client } = await tools.open(store, { lock: { retryNumber: 5, retryDelay: 100 } });
          await tools.signInWithRefreshToken(client, "eve@contoso.example");
        },
        { store },
      ),
      { errorCode: "CrossPlatformLockError" },
    );
    // The content of the store, read without a plugin. msal-node calls `afterCacheAccess` even if `beforeCacheAccess`
    // failed, and a plugin that saves then replaces all accounts by none.
    const untouched = await impatient.run(
      async ({ tools, store }) => (await tools.createPersistence(store)).load(),
      {
        store,
      },
    );
    for (const user of OLD) {
      assert.match(untouched, new RegExp(user), `${user} is still stored`);
    }
    await holder.run(async ({ scene }) => {
      scene.letGo();
      await scene.late;
    });
    const last = await startActor(t, session.env);
    const stored = await last.run(
      async ({ tools, store }) => tools.usernames((await tools.open(store)).client),
      {
        store,
      },
    );
    assert.deepEqual(stored, [...OLD, "dan@contoso.example"]);
  });
}
