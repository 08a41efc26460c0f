// @ts-check
/**
 * Actors for tests of watching: some sign accounts in and out, one records the reported changes.
 */
import assert from "node:assert/strict";
import { until } from "./processes.mjs";

/** After this time no event can come: several times the watcher's own pause. */
const QUIET_MS = 1_000;

export const openInScene = async (/** @type {any} */ { tools, scene, store }) => {
  Object.assign(scene, await tools.open(store));
};

export const signIn = (/** @type {any} */ { tools, scene, user }) =>
  tools.signInWithRefreshToken(scene.client, user);

export const signOut = async (/** @type {any} */ { tools, scene, user }) => {
  const account = await tools.accountNamed(scene.client, user);
  await scene.client.getTokenCache().removeAccount(account);
};

/** Watches and records in the scene: each change, and the accounts according to the changes. */
export const watch = async (/** @type {any} */ { scene, options }) => {
  scene.changes = [];
  scene.people = new Set();
  scene.wrong = [];
  scene.watcher = await scene.plugin.watch((/** @type {any} */ change) => {
    scene.changes.push(change);
    for (const { username } of change.added) {
      if (scene.people.has(username)) scene.wrong.push(`${username} came twice`);
      scene.people.add(username);
    }
    for (const { username } of change.removed) {
      if (!scene.people.delete(username)) scene.wrong.push(`${username} went, but was not there`);
    }
  }, options);
};

/** @param {import("../support/actor.mjs").Actor} actor */
export const told = (actor) =>
  actor.run(({ scene }) => ({
    people: [...scene.people].sort(),
    changes: scene.changes.length,
    wrong: scene.wrong,
    text: JSON.stringify(scene.changes),
  }));

/** @param {import("../support/actor.mjs").Actor} actor @param {string[]} people */
export async function hears(actor, people) {
  await until(
    `${people} told`,
    async () => {
      const heard = await told(actor);
      assert.deepEqual(heard.wrong, []);
      return heard.people.join() === [...people].sort().join();
    },
    { deadline: 20_000 },
  );
}

/** @param {import("../support/actor.mjs").Actor} actor */
export async function hearsNoMore(actor) {
  const { changes } = await told(actor);
  await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  const later = await told(actor);
  assert.equal(later.changes, changes, later.text);
}

export const mail = (/** @type {string} */ name) => `${name}@contoso.example`;
