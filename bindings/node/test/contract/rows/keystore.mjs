// @ts-check
import assert from "node:assert/strict";
import { join } from "node:path";
import { startActor } from "../../support/actor.mjs";
import { store as storeSecret } from "../../support/secrets.mjs";
import { startSession } from "../../support/session.mjs";
import { change, improve, keep } from "../row.mjs";

/**
 * Starts an actor in a session of this kind, with a persistence in its scene.
 *
 * @param {import("node:test").TestContext} t
 * @param {import("../../support/session.mjs").SessionKind} kind
 * @param {string} [name] the class
 */
async function withKeystore(t, kind, name = "LibSecretPersistence") {
  const session = await startSession(t, kind);
  const actor = await startActor(t, session.env);
  await actor.run(
    async ({ ext, scene, name, path }) => {
      scene.persistence = await ext[name].create(path, "service", "account");
      scene.outcome = (/** @type {Promise<unknown>} */ attempt) =>
        attempt.then(
          (value) => ({ value }),
          (error) => ({ name: error.name, errorCode: error.errorCode, message: error.message }),
        );
    },
    { name, path: join(session.home, "cache.json") },
  );
  return { session, actor };
}

/** Outcome of one method. @type {(stage: any) => Promise<any>} */
const attempt = ({ scene, method, args = [] }) => scene.outcome(scene.persistence[method](...args));

keep("keystore load", "an absent item is null", async (t) => {
  const { actor } = await withKeystore(t, "keyring");
  assert.deepEqual(await actor.run(attempt, { method: "load" }), { value: null });
});

keep("keystore load", "what was saved comes back", async (t) => {
  const { actor } = await withKeystore(t, "keyring");
  for (const text of ['{"a":1}', "Zoë, 東京, 🔑", "x".repeat(1 << 20)]) {
    await actor.run(attempt, { method: "save", args: [text] });
    const { value } = await actor.run(attempt, { method: "load" });
    assert.ok(value === text, `${text.length} characters come back as ${value?.length}`);
  }
});

change("keystore load", "a locked collection rejects, because null would look like signed out", {
  async original(t) {
    const { session, actor } = await withKeystore(t, "keyring");
    await storeSecret(session, { service: "service", account: "account" }, "content");
    await session.lock();
    assert.deepEqual(await actor.run(attempt, { method: "load" }), { value: null });
  },
  async ours(t) {
    const { session, actor } = await withKeystore(t, "keyring");
    await storeSecret(session, { service: "service", account: "account" }, "content");
    await session.lock();
    const outcome = await actor.run(attempt, { method: "load" });
    assert.equal(outcome.name, "PersistenceError");
    assert.equal(outcome.errorCode, "GnomeKeyringError");
    assert.match(outcome.message, /locked/i);
  },
});

for (const kind of /** @type {const} */ (["none", "no-service"])) {
  for (const [method, args] of /** @type {const} */ ([
    ["load", []],
    ["save", ["content"]],
    ["delete", []],
  ])) {
    improve("keystore errors", `session "${kind}": ${method}() rejects with GnomeKeyringError`, {
      async original(t) {
        const { actor } = await withKeystore(t, kind);
        const outcome = await actor.run(attempt, { method, args });
        assert.equal(outcome.name, "Error");
        assert.equal(outcome.errorCode, undefined);
      },
      async ours(t) {
        const { actor } = await withKeystore(t, kind);
        const outcome = await actor.run(attempt, { method, args });
        assert.equal(outcome.name, "PersistenceError");
        assert.equal(outcome.errorCode, "GnomeKeyringError");
      },
    });
  }
}

improve("keystore errors", "the empty string can be stored", {
  async original(t) {
    const { actor } = await withKeystore(t, "keyring");
    const outcome = await actor.run(attempt, { method: "save", args: [""] });
    assert.match(outcome.message, /Password is required/);
  },
  async ours(t) {
    const { actor } = await withKeystore(t, "keyring");
    await actor.run(attempt, { method: "save", args: [""] });
    assert.deepEqual(await actor.run(attempt, { method: "load" }), { value: "" });
  },
});

if (process.platform === "linux") {
  change("foreign keystore", "KeychainPersistence on Linux rejects at use with NotSupportedError", {
    async original(t) {
      const { actor } = await withKeystore(t, "keyring", "KeychainPersistence");
      await actor.run(attempt, { method: "save", args: ["content"] });
      assert.deepEqual(await actor.run(attempt, { method: "load" }), { value: "content" });
    },
    async ours(t) {
      const { actor } = await withKeystore(t, "keyring", "KeychainPersistence");
      for (const [method, args] of [["load"], ["save", ["content"]], ["delete"]]) {
        const outcome = await actor.run(attempt, { method, args });
        assert.equal(outcome.name, "PersistenceError");
        assert.equal(outcome.errorCode, "NotSupportedError");
      }
    },
  });
}

keep("delete()", "keystore: true when there was an item, false when there was none", async (t) => {
  const { actor } = await withKeystore(t, "keyring");
  await actor.run(attempt, { method: "save", args: ["content"] });
  assert.deepEqual(await actor.run(attempt, { method: "delete" }), { value: true });
  assert.deepEqual(await actor.run(attempt, { method: "load" }), { value: null });
  assert.deepEqual(await actor.run(attempt, { method: "delete" }), { value: false });
});
