// @ts-check
/** An installation without the binary: what works, and what is said about the rest. */
import assert from "node:assert/strict";
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { copyPackage, play } from "../contract/installation.mjs";
import { scratchDirectory } from "../support/scratch.mjs";

const PROGRAM = `
  const { Environment, FilePersistence, LibSecretPersistence, PersistenceError } = await import("tokenkeep");
  const said = [];
  const loggerOptions = { loggerCallback: (level, text) => level === 1 && said.push(text) };
  Environment.getUserRootDirectory();
  const file = await FilePersistence.create("cache.json", loggerOptions);
  await file.save("content");
  const keyring = await LibSecretPersistence.create("marker.json", "service", "account");
  const error = await keyring.load().catch((error) => error);
  console.log(JSON.stringify({ content: await file.load(), typed: error instanceof PersistenceError,
    code: error.code, errorCode: error.errorCode, message: error.message, said }));`;

/** @param {import("node:test").TestContext} t @param {(dir: string) => unknown} [prepare] */
async function use(t, prepare) {
  const dir = await scratchDirectory(t);
  await copyPackage(dir, { native: false });
  await prepare?.(dir);
  return JSON.parse(await play(dir, PROGRAM));
}

test("plaintext files work, with a warning; other stores name platform, package and remedy", async (t) => {
  const { content, typed, code, errorCode, message, said } = await use(t);
  assert.equal(content, "content");
  assert.equal(said.length, 1, "said once, not for every file");
  assert.match(said[0], /Plaintext files work without it/);
  assert.deepEqual(
    { typed, code, errorCode },
    { typed: true, code: "addon_missing", errorCode: "NotSupportedError" },
  );
  const { platform, arch } = process;
  assert.match(
    message,
    new RegExp(`this is ${platform}-${arch}\\S*, and the package tokenkeep-${platform}-${arch}`),
  );
  assert.match(message, /npm install tokenkeep-.*@\d/);
  assert.match(message, /npm\/cli\/issues\/4828/);
});

/** The name of this platform's package, as an installation has it. @param {string} dir */
async function installPackage(dir, /** @type {string} */ source) {
  const { platform, arch } = process;
  const musl =
    platform === "linux" && !(/** @type {any} */ (process.report.getReport()).header.glibcVersionRuntime);
  const suffix = platform === "linux" ? (musl ? "-musl" : "-gnu") : platform === "win32" ? "-msvc" : "";
  const place = join(dir, "node_modules", `tokenkeep-${platform}-${arch}${suffix}`);
  await cp(new URL("./", import.meta.url), place, { recursive: true });
  await writeFile(join(place, "package.json"), JSON.stringify({ main: "addon.cjs" }));
  await writeFile(join(place, "addon.cjs"), source);
}

const CHOICE = `
  const { PersistenceCreator } = await import("tokenkeep");
  const config = { cachePath: "chosen.json", serviceName: "service", accountName: "account",
    dataProtectionScope: "CurrentUser" };
  const refused = await PersistenceCreator.createPersistence(config).catch((error) => error);
  const persistence = await PersistenceCreator.createPersistence({ ...config, usePlaintextFileOnLinux: true });
  await persistence.save("content");
  const { backend } = await persistence.info();
  console.log(JSON.stringify({ refused: refused.message, backend, content: await persistence.load() }));`;

test("the creator falls back to a plaintext file only where that is allowed", async (t) => {
  const dir = await scratchDirectory(t);
  await copyPackage(dir, { native: false });
  const { refused, backend, content } = JSON.parse(await play(dir, CHOICE));
  assert.match(refused, /Verifing persistence failed.*is not installed/);
  assert.deepEqual({ backend, content }, { backend: "plaintext-file", content: "content" });
});

test("which package is wanted is told without Node's report, which takes milliseconds", async (t) => {
  const dir = await scratchDirectory(t);
  await copyPackage(dir, { native: false });
  const refusing = `process.report.getReport = () => { throw new Error("asked for a report"); };\n`;
  const { code, message } = JSON.parse(await play(dir, refusing + PROGRAM));
  assert.equal(code, "addon_missing", message);
});

test("a binary that cannot be loaded says why", async (t) => {
  const { code, message } = await use(t, (dir) =>
    installPackage(dir, 'throw new Error("GLIBC_9.99 not found")'),
  );
  assert.equal(code, "addon_unusable");
  assert.match(message, /is installed, cannot be loaded: GLIBC_9\.99 not found/);
});

test("a binary of another version is refused, with both versions", async (t) => {
  const { code, message } = await use(t, (dir) => installPackage(dir, 'exports.version = () => "9.9.9"'));
  assert.equal(code, "addon_unusable");
  assert.match(message, /has version 9\.9\.9, but tokenkeep has \d/);
});
