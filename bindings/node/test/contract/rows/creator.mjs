// @ts-check
import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { startActor } from "../../support/actor.mjs";
import { startSession } from "../../support/session.mjs";
import { improve, keep, rejection } from "../row.mjs";

/** A complete configuration. @param {string} dir */
const complete = (dir) => ({
  cachePath: join(dir, "cache.json"),
  dataProtectionScope: "LocalMachine",
  serviceName: "service",
  accountName: "account",
});

/** Platform, class, required fields, and the message for a missing one. */
const PLATFORMS = /** @type {const} */ ([
  [
    "win32",
    "FilePersistenceWithDataProtection",
    ["cachePath", "dataProtectionScope"],
    "Cache path and/or data protection scope not provided for the FilePersistenceWithDataProtection cache plugin",
  ],
  [
    "darwin",
    "KeychainPersistence",
    ["cachePath", "serviceName", "accountName"],
    "Cache path, service name and/or account name not provided for the KeychainPersistence cache plugin",
  ],
  [
    "linux",
    "LibSecretPersistence",
    ["cachePath", "serviceName", "accountName"],
    "Cache path, service name and/or account name not provided for the LibSecretPersistence cache plugin",
  ],
]);

/** Simulates another platform. @param {import("node:test").TestContext} t @param {any} ext @param {string} platform */
function pretend(t, ext, platform) {
  t.mock.method(ext.Environment, "getEnvironmentPlatform", () => platform);
}

for (const [platform, name, fields, sentence] of PLATFORMS) {
  for (const field of fields) {
    keep(
      "createPersistence()",
      `${platform}: without ${field}, the sentence of the original`,
      async (t, bench) => {
        pretend(t, bench.ext, platform);
        for (const nothing of [undefined, ""]) {
          const config = { ...complete(bench.dir), [field]: nothing };
          const error = await rejection(bench.ext.PersistenceCreator.createPersistence(config));
          assert.equal(error.name, "PersistenceError");
          assert.equal(error.errorCode, "PersistenceNotValidatedError");
          assert.equal(error.errorMessage, sentence);
        }
      },
    );
  }

  keep("createPersistence()", `${platform}: gives a ${name} whose file exists`, async (t, { ext, dir }) => {
    pretend(t, ext, platform);
    const verify = t.mock.method(ext[name].prototype, "verifyPersistence", async () => true);
    const persistence = await ext.PersistenceCreator.createPersistence(complete(dir));
    assert.ok(persistence instanceof ext[name]);
    assert.equal(verify.mock.callCount(), 1);
    assert.equal((await stat(join(dir, "cache.json"))).mode & 0o777, 0o600);
  });
}

keep("createPersistence()", "an unknown platform is a NotSupportedError", async (t, { ext, dir }) => {
  pretend(t, ext, "plan9");
  const error = await rejection(ext.PersistenceCreator.createPersistence(complete(dir)));
  assert.equal(error.errorCode, "NotSupportedError");
  assert.equal(error.errorMessage, "The current environment is not supported by msal-node-extensions yet.");
});

keep(
  "createPersistence()",
  "the error of a failing verification reaches the caller as it is",
  async (t, bench) => {
    pretend(t, bench.ext, "linux");
    const thrown = new Error("not today");
    t.mock.method(bench.ext.LibSecretPersistence.prototype, "verifyPersistence", async () => {
      throw thrown;
    });
    assert.equal(
      await rejection(bench.ext.PersistenceCreator.createPersistence(complete(bench.dir))),
      thrown,
    );
  },
);

keep(
  "createPersistence()",
  "plaintext, where allowed, comes when the keyring does not verify",
  async (t, bench) => {
    pretend(t, bench.ext, "linux");
    t.mock.method(bench.ext.LibSecretPersistence.prototype, "verifyPersistence", async () => {
      throw new Error("not today");
    });
    const config = { ...complete(bench.dir), usePlaintextFileOnLinux: true };
    const persistence = await bench.ext.PersistenceCreator.createPersistence(config);
    assert.ok(persistence instanceof bench.ext.FilePersistence);
    assert.equal(persistence.getFilePath(), config.cachePath);
  },
);

keep(
  "createPersistence()",
  "plaintext that does not verify is a PersistenceNotVerifiedError",
  async (t, bench) => {
    pretend(t, bench.ext, "linux");
    t.mock.method(bench.ext.LibSecretPersistence.prototype, "verifyPersistence", async () => {
      throw new Error("not today");
    });
    t.mock.method(bench.ext.FilePersistence.prototype, "verifyPersistence", async () => false);
    const config = { ...complete(bench.dir), usePlaintextFileOnLinux: true };
    const error = await rejection(bench.ext.PersistenceCreator.createPersistence(config));
    assert.equal(error.errorCode, "PersistenceNotVerifiedError");
    assert.equal(error.errorMessage, "Persistence could not be verified");
  },
);

improve("createPersistence()", "no configuration at all is a PersistenceNotValidatedError", {
  async original(_, { ext }) {
    assert.equal((await rejection(ext.PersistenceCreator.createPersistence(undefined))).name, "TypeError");
  },
  async ours(_, { ext }) {
    for (const config of [undefined, null]) {
      const error = await rejection(ext.PersistenceCreator.createPersistence(config));
      assert.ok(error instanceof ext.PersistenceError);
      assert.equal(error.errorCode, "PersistenceNotValidatedError");
    }
  },
});

/** Returns the scope with which a Windows persistence was created. @param {import("node:test").TestContext} t @param {import("../row.mjs").Bench} bench */
async function scopeUsed(t, { ext, dir }) {
  pretend(t, ext, "win32");
  const create = t.mock.method(ext.FilePersistenceWithDataProtection, "create");
  t.mock.method(ext.FilePersistenceWithDataProtection.prototype, "verifyPersistence", async () => true);
  await ext.PersistenceCreator.createPersistence(complete(dir));
  return create.mock.calls[0]?.arguments[1];
}

improve("createPersistence()", "Windows: the data protection scope that was asked for is the one used", {
  original: async (t, bench) => assert.equal(await scopeUsed(t, bench), "CurrentUser"),
  ours: async (t, bench) => assert.equal(await scopeUsed(t, bench), "LocalMachine"),
});

/**
 * Returns the warnings and errors that a fallback to plaintext logs.
 *
 * @param {import("node:test").TestContext} t
 */
async function warningsOfFallback(t) {
  const session = await startSession(t, "none");
  const actor = await startActor(t, session.env);
  return actor.run(
    async ({ ext, path }) => {
      /** @type {string[]} */
      const warnings = [];
      await ext.PersistenceCreator.createPersistence({
        cachePath: path,
        dataProtectionScope: "CurrentUser",
        serviceName: "service",
        accountName: "account",
        usePlaintextFileOnLinux: true,
        loggerOptions: {
          loggerCallback: (/** @type {number} */ level, /** @type {string} */ text) =>
            level <= 1 && warnings.push(text),
        },
      });
      return warnings;
    },
    { path: join(session.home, "cache.json") },
  );
}

improve("createPersistence()", "a fallback to plaintext is logged as a warning that says so", {
  original: async (t) => assert.deepEqual(await warningsOfFallback(t), []),
  ours: async (t) => assert.match((await warningsOfFallback(t)).join("\n"), /plain ?text|unencrypted/i),
});

improve(
  "createPersistence()",
  "what it gives can say where the tokens are and how they are protected: info()",
  {
    async original(t, { ext, dir }) {
      t.mock.method(ext.LibSecretPersistence.prototype, "verifyPersistence", async () => true);
      assert.equal((await ext.PersistenceCreator.createPersistence(complete(dir))).info, undefined);
    },
    async ours(t) {
      const session = await startSession(t);
      const actor = await startActor(t, session.env);
      const [keyring, file] = await actor.run(
        async ({ tools, ext, path }) => [
          await (await tools.createPersistence({ kind: "PersistenceCreator", cachePath: path })).info(),
          await (await ext.FilePersistence.create(path)).info(),
        ],
        { path: join(session.home, "cache.json") },
      );
      assert.equal(keyring.protection, "osUser");
      assert.equal(file.protection, "plaintext");
      for (const info of [keyring, file]) {
        assert.equal(typeof info.backend, "string");
        assert.equal(info.survivesReboot, true);
      }
    },
  },
);

keep("mockability", "the platform is asked of Environment at each call", async (t, { ext, dir }) => {
  t.mock.method(ext.Environment, "isWindowsPlatform", () => true);
  t.mock.method(ext.FilePersistenceWithDataProtection.prototype, "verifyPersistence", async () => true);
  const persistence = await ext.PersistenceCreator.createPersistence(complete(dir));
  assert.ok(persistence instanceof ext.FilePersistenceWithDataProtection);
});

keep(
  "mockability",
  "verifyPersistence goes through the methods of the prototype",
  async (t, { ext, dir }) => {
    const { prototype } = ext.FilePersistence;
    const spies = ["createForPersistenceValidation", "save", "load", "delete"].map((name) =>
      t.mock.method(prototype, name),
    );
    const persistence = await ext.FilePersistence.create(join(dir, "cache.json"));
    assert.equal(await persistence.verifyPersistence(), true);
    for (const spy of spies) {
      assert.equal(spy.mock.callCount(), 1);
    }
  },
);

keep("mockability", "the plugin goes through the methods of the prototype", async (t, { ext, dir }) => {
  const load = t.mock.method(ext.FilePersistence.prototype, "load", async () => '{"Account":{}}');
  const save = t.mock.method(ext.FilePersistence.prototype, "save", async () => {});
  const plugin = new ext.PersistenceCachePlugin(await ext.FilePersistence.create(join(dir, "cache.json")));
  const context = {
    cacheHasChanged: true,
    tokenCache: { serialize: () => '{"Account":{"a":{}}}', deserialize: t.mock.fn() },
  };
  await plugin.beforeCacheAccess(context);
  await plugin.afterCacheAccess(context);
  assert.ok(load.mock.callCount() >= 1);
  assert.equal(save.mock.callCount(), 1);
  assert.ok(context.tokenCache.deserialize.mock.callCount() >= 1);
});
