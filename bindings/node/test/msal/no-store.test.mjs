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

/** The default deadline of one keyring call is 5 s. */
const SOON_MS = 8_000;

const create = async (/** @type {any} */ { tools, timed, store }) => {
  const { result: kind, naps } = await timed(() =>
    tools.createPersistence(store).then(
      (/** @type {object} */ persistence) => persistence.constructor.name,
      (/** @type {any} */ error) => ({ errorCode: error.errorCode, message: error.message }),
    ),
  );
  return { kind, naps };
};

for (const kind of /** @type {const} */ (["none", "no-service", "locked", "mute", "frozen"])) {
  for (const usePlaintextFileOnLinux of [undefined, false]) {
    test(`session "${kind}", usePlaintextFileOnLinux ${usePlaintextFileOnLinux}: createPersistence fails soon, typed`, async (t) => {
      const session = await startSession(t, kind);
      const actor = await startActor(t, session.env);
      const cachePath = join(session.home, "cache.json");
      const store = { kind: "PersistenceCreator", cachePath, usePlaintextFileOnLinux };
      const { kind: outcome, naps } = await actor.run(create, { store });
      assert.equal(outcome.errorCode, "CachePersistenceError");
      assert.match(outcome.message, /^CachePersistenceError: Verifing persistence failed with the error: /);
      assert.ok(naps < SOON_MS, `${naps} naps`);
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
    const { kind: outcome, naps } = await actor.run(create, { store });
    assert.equal(outcome, "FilePersistence");
    assert.ok(naps < SOON_MS, `${naps} naps`);
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
