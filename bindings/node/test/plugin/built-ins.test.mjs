// @ts-check
/** Programs that freeze JavaScript's own objects, and programs with a prototype pollution fault. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { run } from "../support/processes.mjs";
import { startSession } from "../support/session.mjs";

const TESTS = fileURLToPath(new URL("..", import.meta.url));

/** Runs a program without a keyring, in which `first` runs before the package is loaded. */
async function play(/** @type {any} */ t, /** @type {string} */ first, /** @type {string} */ program) {
  const session = await startSession(t, "none");
  const text = `${first}; const ext = require("tokenkeep"); (async () => {${program}})()`;
  const { stdout, stderr } = await run(process.execPath, ["-e", text], { cwd: TESTS, env: session.env });
  assert.equal(stderr, "");
  return stdout.trim();
}

const FREEZE = `
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    const value = /^[A-Z]/.test(name) ? globalThis[name] : undefined;
    if (typeof value === "function") for (const one of [value, value.prototype]) one && Object.freeze(one);
  }`;

test("with every built-in class frozen, content is kept and errors are the package's own", async (t) => {
  const printed = await play(
    t,
    FREEZE,
    `const key = { type: "passphrase", passphrase: async () => "a long passphrase" };
    const options = { partition: "my-app/tokens" };
    const path = process.env.HOME + "/kept";
    const persistence = await ext.EncryptedFilePersistence.create(path, key, undefined, options);
    await persistence.save("content");
    console.log(await persistence.load());
    for (const call of [() => ext.FilePersistence.create("/dev/null/cache"), () => ext.FilePersistence.create(5)]) {
      await call().catch((error) => console.log(error instanceof ext.PersistenceError, error.name, error.code));
    }
    const config = { cachePath: process.env.HOME + "/other", serviceName: "a", accountName: "b" };
    await ext.PersistenceCreator.createPersistence(config).catch((error) => console.log(error.code));`,
  );
  assert.deepEqual(printed.split("\n"), [
    "content",
    "true PersistenceError ENOTDIR",
    "true PersistenceError ERR_INVALID_ARG_TYPE",
    "store_unavailable",
  ]);
});

test("a member of Object.prototype allows no weaker store", async (t) => {
  const pollution = `Object.assign(Object.prototype, {
    usePlaintextFileOnLinux: true, unsafeAllowUnencryptedStorage: true, fallback: [{ type: "plaintextFile" }],
  })`;
  const printed = await play(
    t,
    pollution,
    `const config = { cachePath: process.env.HOME + "/kept", serviceName: "a", accountName: "b" };
    const failed = (error) => console.log(error.code);
    await ext.PersistenceCreator.createPersistence(config).then(console.log, failed);
    await ext.createCachePlugin(config).ready().then(console.log, failed);
    const { cachePersistencePlugin } = require("tokenkeep/identity");
    let open;
    cachePersistencePlugin({ cachePluginControl: { setPersistence: (factory) => { open = factory; } } });
    await open({ name: "my-app" }).then(console.log, failed);`,
  );
  assert.deepEqual(printed.split("\n"), Array(3).fill("store_unavailable"));
});

test("a member of Object.prototype gives no key another source", async (t) => {
  const printed = await play(
    t,
    'Object.prototype.environmentVariable = "PLANTED"; process.env.PLANTED = "an attacker\'s passphrase"',
    `const path = process.env.HOME + "/kept";
    const key = { type: "passphrase", passphrase: "a long passphrase" };
    await (await ext.EncryptedFilePersistence.create(path, key)).save("content");
    delete Object.prototype.environmentVariable;
    console.log(await (await ext.EncryptedFilePersistence.create(path, key)).load());`,
  );
  assert.equal(printed, "content");
});

test("members of a configuration's class count", async (t) => {
  const printed = await play(
    t,
    "",
    `class Configuration {
      cachePath = process.env.HOME + "/kept";
      get serviceName() { return "a"; }
      get accountName() { return "b"; }
      get fallback() { return [{ type: "memory" }]; }
    }
    console.log((await (await ext.PersistenceCreator.createPersistence(new Configuration())).info()).backend);
    console.log((await (await ext.createCachePlugin(new Configuration()).ready()).info()).backend);`,
  );
  assert.deepEqual(printed.split("\n"), ["memory", "memory"]);
});
