// @ts-check
import assert from "node:assert/strict";
import { join } from "node:path";
import { improve, keep, rejection } from "../row.mjs";

/** Returns a PersistenceError from a failed call, which also gives its class where the class is not exported. @param {import("../row.mjs").Bench} bench */
const caught = ({ ext, dir }) => rejection(new ext.FilePersistence(join(dir, "absent")).load());

keep(
  "PersistenceError",
  "is an Error with name, errorCode, errorMessage, and both in its message",
  async (_, bench) => {
    const error = await caught(bench);
    assert.equal(error.name, "PersistenceError");
    assert.equal(error.errorCode, "ENOENT");
    assert.ok(error.errorMessage.length > 0);
    assert.equal(error.message, `${error.errorCode}: ${error.errorMessage}`);
    assert.equal(String(error), `PersistenceError: ${error.message}`);
    assert.ok(error instanceof Error);
  },
);

keep("PersistenceError", "without a message, the code is the message", async (_, bench) => {
  const PersistenceError = (await caught(bench)).constructor;
  const error = new PersistenceError("SomeCode");
  assert.equal(error.message, "SomeCode");
  assert.equal(error.errorCode, "SomeCode");
});

/** Each factory with its error code; the first one takes the code as an argument. */
const FACTORIES = Object.entries({
  createLibSecretError: "GnomeKeyringError",
  createKeychainPersistenceError: "KeychainError",
  createFilePersistenceWithDPAPIError: "DPAPIEncryptedFileError",
  createCrossPlatformLockError: "CrossPlatformLockError",
  createCachePersistenceError: "CachePersistenceError",
  createNotSupportedError: "NotSupportedError",
  createPersistenceNotVerifiedError: "PersistenceNotVerifiedError",
  createPersistenceNotValidatedError: "PersistenceNotValidatedError",
});

keep("PersistenceError", "has its nine factories", async (_, bench) => {
  const PersistenceError = (await caught(bench)).constructor;
  const fileSystem = PersistenceError.createFileSystemError("EACCES", "no");
  assert.ok(fileSystem instanceof PersistenceError);
  assert.equal(fileSystem.message, "EACCES: no");
  for (const [factory, code] of FACTORIES) {
    const error = PersistenceError[factory]("why");
    assert.ok(error instanceof PersistenceError, factory);
    assert.equal(error.errorCode, code);
    assert.equal(error.errorMessage, "why");
    assert.equal(error.message, `${code}: why`);
  }
});

improve("PersistenceError", "keeps what caused it", {
  async original(_, bench) {
    assert.equal((await caught(bench)).cause, undefined);
  },
  async ours(t, { ext, dir }) {
    const persistence = await ext.FilePersistence.create(join(dir, "cache.json"));
    const thrown = new Error("no more paper");
    t.mock.method(ext.FilePersistence.prototype, "save", async () => {
      throw thrown;
    });
    assert.equal((await rejection(persistence.verifyPersistence())).cause, thrown);
  },
});

improve("PersistenceError", "shows no secret, however it is printed", {
  // The original prints no text either; it fails the other checks of this row.
  original: async (_, bench) => assertSilent(bench),
  ours: async (_, bench) => assertSilent(bench),
});

/** @param {import("../row.mjs").Bench} bench */
async function assertSilent({ ext, dir }) {
  const { inspect } = await import("node:util");
  const persistence = await ext.FilePersistence.create(join(dir, "cache.json"));
  await persistence.save("the-secret");
  const plugin = new ext.PersistenceCachePlugin(persistence);
  const refusal = new SyntaxError("not today");
  const context = {
    cacheHasChanged: false,
    tokenCache: {
      serialize: () => "{}",
      deserialize() {
        throw refusal;
      },
    },
  };
  const outcome = await plugin.beforeCacheAccess(context).then(
    () => "no error",
    (/** @type {Error} */ error) => error,
  );
  assert.doesNotMatch(inspect(outcome, { depth: 9, showHidden: true }), /the-secret/);
}
