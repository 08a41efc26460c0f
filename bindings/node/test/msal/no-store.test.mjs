// @ts-check
/**
 * Without a protected store and without permission for plaintext, creation fails soon, with a typed error, and leaves
 * no file that looks like a token cache.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { startActor } from "../support/actor.mjs";
import { startSession } from "../support/session.mjs";

/** The default deadline of a keyring call is 5 s; a little more for two busy cores. */
const SOON_MS = 8_000;

const create = async (/** @type {any} */ { tools, store }) => {
  const start = performance.now();
  const kind = await tools.createPersistence(store).then(
    (/** @type {object} */ persistence) => persistence.constructor.name,
    (/** @type {any} */ error) => ({ errorCode: error.errorCode, message: error.message }),
  );
  return { kind, ms: performance.now() - start };
};

for (const kind of /** @type {const} */ (["none", "no-service", "locked", "mute", "frozen"])) {
  for (const usePlaintextFileOnLinux of [undefined, false]) {
    test(`session "${kind}", usePlaintextFileOnLinux ${usePlaintextFileOnLinux}: createPersistence fails soon, typed`, async (t) => {
      const session = await startSession(t, kind);
      const actor = await startActor(t, session.env);
      const cachePath = join(session.home, "cache.json");
      const store = { kind: "PersistenceCreator", cachePath, usePlaintextFileOnLinux };
      const { kind: outcome, ms } = await actor.run(create, { store }, SOON_MS);
      assert.equal(outcome.errorCode, "CachePersistenceError");
      assert.match(outcome.message, /^CachePersistenceError: Verifing persistence failed with the error: /);
      assert.ok(ms < SOON_MS);
      assert.equal(await readFile(cachePath, "utf8"), "");
    });
  }

  test(`session "${kind}", plaintext allowed: createPersistence falls back soon`, async (t) => {
    const session = await startSession(t, kind);
    const actor = await startActor(t, session.env);
    const store = {
      kind: "PersistenceCreator",
      cachePath: join(session.home, "cache.json"),
      usePlaintextFileOnLinux: true,
    };
    const { kind: outcome, ms } = await actor.run(create, { store }, SOON_MS);
    assert.equal(outcome, "FilePersistence");
    assert.ok(ms < SOON_MS);
  });
}

test("eight processes that verify at once all get the keyring, and none falls back to plaintext", async (t) => {
  const session = await startSession(t);
  const store = {
    kind: "PersistenceCreator",
    cachePath: join(session.home, "cache.json"),
    usePlaintextFileOnLinux: true,
  };
  const actors = await Promise.all(Array.from({ length: 8 }, () => startActor(t, session.env)));
  for (let round = 0; round < 5; round++) {
    const outcomes = await Promise.all(actors.map((actor) => actor.run(create, { store })));
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      Array(8).fill("LibSecretPersistence"),
      `round ${round}`,
    );
  }
});
