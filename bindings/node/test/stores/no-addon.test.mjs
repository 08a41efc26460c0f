// @ts-check
/** An installation without the binary: the parts that work, and the errors of the others. */
import assert from "node:assert/strict";
import { access, chmod, copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { copyPackage, play } from "../contract/installation.mjs";
import { scratchDirectory } from "../support/scratch.mjs";

const { platform, arch } = process;

/** A program that tries every way to a store and prints the result of each. */
const PROGRAM = `
  const ext = await import("tokenkeep");
  const { Environment, EncryptedFilePersistence, FilePersistence, KeychainPersistence, LibSecretPersistence,
    MemoryPersistence, PersistenceCachePlugin, PersistenceCreator, PersistenceError, migrate } = ext;
  const said = [];
  const loggerOptions = { loggerCallback: (level, text) => said.push(text), logLevel: 4 };
  const key = { type: "passphrase", passphrase: "of this test" };
  const config = { cachePath: "cache.json", serviceName: "service", accountName: "account",
    dataProtectionScope: "CurrentUser", loggerOptions };
  const tokenCache = { serialize: () => "{}", deserialize: () => {} };
  const write = async (persistence) => {
    const plugin = new PersistenceCachePlugin(persistence);
    await plugin.beforeCacheAccess({ tokenCache, cacheHasChanged: true });
  };
  const calls = {
    "FilePersistence.create": () => FilePersistence.create("cache.json", loggerOptions),
    "save of a file": () => new FilePersistence("cache.json").save("content"),
    "load of a file": () => new FilePersistence("cache.json").load(),
    "info of a file": () => new FilePersistence("cache.json").info(),
    "delete of a file": () => new FilePersistence("cache.json").delete(),
    "EncryptedFilePersistence.create": () => EncryptedFilePersistence.create("cache.json", key),
    "LibSecretPersistence.create": () => LibSecretPersistence.create("cache.json", "service", "account"),
    "KeychainPersistence.create": () => KeychainPersistence.create("cache.json", "service", "account"),
    "createPersistence": () => PersistenceCreator.createPersistence(config),
    "createPersistence, plaintext allowed": () =>
      PersistenceCreator.createPersistence({ ...config, usePlaintextFileOnLinux: true }),
    "createPersistence, with fallbacks": () => PersistenceCreator.createPersistence({ ...config,
      fallback: [{ type: "encryptedFile", key }, { type: "plaintextFile" }, { type: "memory" }] }),
    "plugin over a file": () => write(new FilePersistence("cache.json")),
    "plugin over an own persistence": () => write({ ...new MemoryPersistence(), getFilePath: () => "own.json",
      getLogger: () => new MemoryPersistence().getLogger(), load: async () => null, save: async () => {},
      reloadNecessary: async () => true }),
    "migrate": () => migrate(new FilePersistence("a.json"), new FilePersistence("b.json")),
  };
  const ends = {};
  for (const [name, call] of Object.entries(calls)) {
    // Not within a promise: a call that throws instead of rejecting ends the program.
    ends[name] = await call().then(() => "resolved", (error) => ({
      typed: error instanceof PersistenceError, code: error.code, errorCode: error.errorCode, message: error.message }));
  }
  Environment.getUserRootDirectory();
  console.log(JSON.stringify({ ends, said }));`;

/** @typedef {{ typed: boolean, code: string, errorCode: string, message: string }} End */

/** @param {import("node:test").TestContext} t @param {(dir: string) => unknown} [prepare] @param {string} [before] */
async function use(t, prepare, before = "") {
  const dir = await scratchDirectory(t);
  await copyPackage(dir, { native: false });
  await prepare?.(dir);
  /** @type {{ ends: Record<string, End>, said: string[] }} */
  const { ends, said } = JSON.parse(await play(dir, before + PROGRAM));
  for (const [name, end] of Object.entries(ends)) {
    assert.deepEqual(
      { name, typed: end.typed, errorCode: end.errorCode },
      { name, typed: true, errorCode: "NotSupportedError" },
    );
  }
  for (const file of ["cache.json", "a.json", "b.json", "own.json"]) {
    await assert.rejects(access(join(dir, file)), `${file} was made`);
  }
  return { ends: Object.values(ends), said };
}

test("every store rejects with platform, package and remedy, and no fallback is tried", async (t) => {
  const { ends, said } = await use(t);
  for (const { code, message } of ends) {
    assert.equal(code, "addon_missing");
    assert.match(
      message,
      new RegExp(`this is ${platform}-${arch}\\S*, and the package tokenkeep-${platform}-${arch}`),
    );
    assert.match(message, /npm install tokenkeep-.*@\d/);
    assert.match(message, /npm\/cli\/issues\/4828/);
  }
  assert.deepEqual(said, [], "nothing is logged in the place of the error");
});

test("the error names the package without Node's report, which takes milliseconds", async (t) => {
  const refusing = `process.report.getReport = () => { throw new Error("asked for a report"); };\n`;
  const { ends } = await use(t, undefined, refusing);
  assert.ok(ends.every(({ code }) => code === "addon_missing"));
});

/** The name of this platform, as its package has it. */
const musl =
  platform === "linux" && !(/** @type {any} */ (process.report.getReport()).header.glibcVersionRuntime);
const suffix = platform === "linux" ? (musl ? "-musl" : "-gnu") : platform === "win32" ? "-msvc" : "";
const NAME = `${platform}-${arch}${suffix}`;

/** Installs this platform's package with `addon` as its binary. @param {string} dir @param {string | Buffer} addon */
async function installPackage(dir, addon) {
  const place = join(dir, "node_modules", `tokenkeep-${NAME}`);
  await mkdir(place, { recursive: true });
  await writeFile(join(place, "package.json"), JSON.stringify({ main: `tokenkeep.${NAME}.node` }));
  await writeFile(join(place, `tokenkeep.${NAME}.node`), addon);
}

test("a binary that cannot be loaded is an error with the reason", async (t) => {
  const { ends } = await use(t, (dir) => installPackage(dir, "no library"));
  for (const { code, message } of ends) {
    assert.equal(code, "addon_unusable");
    assert.match(message, /the addon .*tokenkeep-.*\.node cannot be loaded: ./);
  }
});

test("a binary that the system forbids is an error with what to do in place of installing it anew", async (t) => {
  for (const [message, remedy] of [
    ["An Application Control policy has blocked this file.", /ask your administrator/],
    [
      "code signature in x.node not valid for use in process: mapping process has different Team IDs",
      /has to sign/,
    ],
  ]) {
    const forbidding = `process.dlopen = () => { throw new Error(${JSON.stringify(message)}); };\n`;
    const { ends } = await use(t, (dir) => installPackage(dir, "forbidden"), forbidding);
    for (const { code, message } of ends) {
      assert.equal(code, "addon_unusable");
      assert.match(message, /** @type {RegExp} */ (remedy));
    }
  }
});

test("a binary of another version is refused, with both versions", async (t) => {
  const addon = await readFile(new URL(`../../tokenkeep.${NAME}.node`, import.meta.url));
  const { ends } = await use(t, async (dir) => {
    await installPackage(dir, addon);
    const code = join(dir, "node_modules", "tokenkeep", "dist", "index.js");
    await writeFile(
      code,
      (await readFile(code, "utf8")).replace(/const VERSION = "[^"]+"/, 'const VERSION = "9.9.9"'),
    );
  });
  for (const { code, message } of ends) {
    assert.equal(code, "addon_unusable");
    assert.match(message, /has version \d.*, but tokenkeep has 9\.9\.9/);
  }
});

/** The code and the message with which a file is loaded in a copy that is no release. @param {string} prelude */
async function loadsBy(/** @type {string} */ dir, /** @type {string} */ prelude) {
  const program = `${prelude}
    const { FilePersistence } = await import("tokenkeep");
    await FilePersistence.create("cache.json").then(() => console.log("loaded"), (error) => console.log(error.code, error.message));`;
  return play(dir, program);
}

test("in a checkout TOKENKEEP_NATIVE_PATH names a binary by its absolute path, which no other user can change", async (t) => {
  const dir = await scratchDirectory(t);
  await copyPackage(dir, { native: false });
  const addon = join(dir, "another.node");
  const code = join(dir, "evil.js");
  const folder = join(dir, "evil.node");
  await copyFile(new URL(`../../tokenkeep.${NAME}.node`, import.meta.url), addon);
  await writeFile(code, 'console.log("EVIL"); exports.version = () => "0.1.0";');
  await mkdir(folder);
  await writeFile(join(folder, "index.js"), 'console.log("EVIL"); exports.version = () => "0.1.0";');
  /** @param {string} file @param {string} [more] */
  const named = (file, more = "") =>
    loadsBy(dir, `process.env.TOKENKEEP_NATIVE_PATH = ${JSON.stringify(file)}; ${more}`);
  assert.equal(await named(addon), "loaded");
  assert.match(await named("./another.node"), /^addon_unusable .*absolute path of a file \*\.node/);
  assert.match(await named(code), /^addon_unusable .*absolute path of a file \*\.node/);
  assert.match(await named(folder), /^addon_unusable .*cannot be loaded/);
  assert.match(await named(join(dir, "absent.node")), /^addon_unusable .*cannot be loaded/);
  const electron = 'Object.defineProperty(process.versions, "electron", { value: "40.0.0" });';
  assert.match(await named(addon, electron), /^addon_missing /);
  if (platform !== "win32") {
    await chmod(addon, 0o666);
    assert.match(await named(addon), /^addon_unusable .*other users can change it .*chmod go-w/);
  }
});

test("what a bundle embeds for one version is no concern of another", async (t) => {
  const dir = await scratchDirectory(t);
  await copyPackage(dir);
  const foreign = 'globalThis[Symbol.for("tokenkeep.embedded.9.9.9")] = () => ({ version: () => "9.9.9" });';
  const older = 'globalThis[Symbol.for("tokenkeep.embedded")] = () => ({ version: () => "0.0.9" });';
  assert.equal(await loadsBy(dir, foreign + older), "loaded");
});
