// @ts-check
/**
 * The package and the original on one plaintext cache, as in a team that updates one program first: each reads the
 * other's writes, and each waits for the other's lock.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { startActor } from "../support/actor.mjs";
import { startSession } from "../support/session.mjs";
import { ORIGINAL } from "../support/subject.mjs";

/** Opens a plugin over the file and keeps it. */
const open = async (/** @type {any} */ { tools, scene, path, lock }) => {
  Object.assign(scene, await tools.open({ kind: "FilePersistence", cachePath: path }, { lock }));
};
const signIn = (/** @type {any} */ { tools, scene, user }) =>
  tools.signInWithRefreshToken(scene.client, user);
const names = (/** @type {any} */ { tools, scene }) => tools.usernames(scene.client);

/** @param {import("node:test").TestContext} t @param {{ retryNumber: number, retryDelay: number }} [lock] */
async function pair(t, lock) {
  const session = await startSession(t, "none");
  const path = join(session.home, "cache.json");
  const [ours, theirs] = await Promise.all([
    startActor(t, session.env),
    startActor(t, session.env, ORIGINAL),
  ]);
  await ours.run(open, { path, lock });
  await theirs.run(open, { path, lock });
  return { ours, theirs };
}

/** Longer than the original's resolution of a millisecond plus a kernel tick, because it misses faster changes. */
const tick = () => new Promise((resolve) => setTimeout(resolve, 50));

test("both find all sign-ins that the package and the original made in turn", async (t) => {
  const { ours, theirs } = await pair(t);
  const expected = [];
  for (let round = 0; round < 10; round++) {
    const user = `user${round}@contoso.example`;
    expected.push(user);
    await tick();
    await (round % 2 ? ours : theirs).run(signIn, { user });
    await tick();
    assert.deepEqual(await ours.run(names), expected);
    await tick();
    assert.deepEqual(await theirs.run(names), expected);
  }
});

/** Starts a write that stays between lock and save until it is released. */
const startWrite = async (/** @type {any} */ { tools, scene, user }) => {
  const { persistence } = scene.plugin;
  const save = persistence.save.bind(persistence);
  const open = new Promise((resolve) => {
    scene.letGo = resolve;
  });
  const reached = new Promise((resolve) => {
    persistence.save = async (/** @type {string} */ content) => {
      resolve(undefined);
      await open;
      return save(content);
    };
  });
  scene.writing = tools.signInWithRefreshToken(scene.client, user);
  await reached;
};
const finishWrite = async (/** @type {any} */ { scene }) => {
  scene.letGo();
  await scene.writing;
};

for (const [first, second] of /** @type {const} */ ([
  ["ours", "theirs"],
  ["theirs", "ours"],
])) {
  const names = { ours: "the package", theirs: "the original" };
  test(`while ${names[first]} is writing, ${names[second]} waits, and both sign-ins are kept`, async (t) => {
    const actors = await pair(t, { retryNumber: 200, retryDelay: 20 });
    const [holder, waiter] = [actors[first], actors[second]];
    await holder.run(startWrite, { user: "ada@contoso.example" });
    let finished = false;
    const waiting = waiter.run(signIn, { user: "bob@contoso.example" }).then(() => {
      finished = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(finished, false, "the second one waits");
    await holder.run(finishWrite);
    await waiting;
    const last = await waiter.run(({ tools, scene }) => tools.usernames(scene.client));
    assert.deepEqual(last, ["ada@contoso.example", "bob@contoso.example"]);
  });
}
