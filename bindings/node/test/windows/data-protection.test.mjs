// @ts-check
/**
 * The package on Windows: the file that Windows encrypts, through every class that leads to it.
 *
 * Runs in a Windows node.exe, with `cargo xtask cross windows` under Wine; other systems do not have such files.
 */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { readdir, readFile, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { change, list, Memory } from "../plugin/memory.mjs";
import { timed } from "../support/clock.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";

const CONTENT = JSON.stringify({ Account: { a: { username: "jemand@exämple.org" } }, secret: "SECRET-令牌" });
const PEER = fileURLToPath(new URL("peer.mjs", import.meta.url));

const ext = await imported();
const { DataProtectionScope, FilePersistenceWithDataProtection, PersistenceCachePlugin } = ext;

/** @param {string} path @param {string} [entropy] */
const open = (path, entropy) =>
  FilePersistenceWithDataProtection.create(path, DataProtectionScope.CurrentUser, entropy);

/** @param {Promise<unknown>} promise @returns {Promise<any>} */
const rejection = (promise) =>
  promise.then(
    () => assert.fail("it did not reject"),
    (error) => error,
  );

/** @param {import("node:test").TestContext} t */
const place = async (t) => join(await scratchDirectory(t), "größerer Ordner", "cache.bin");

test("other processes load the saved content, and the file is encrypted", async (t) => {
  const path = await place(t);
  const ours = await open(path);
  assert.equal(await ours.load(), null, "a new file is empty");
  for (const content of [CONTENT, "{}", CONTENT.repeat(2000), CONTENT]) {
    await ours.save(content);
    assert.equal(await (await open(path)).load(), content);
  }
  const stored = await readFile(path);
  assert.deepEqual([...stored.subarray(0, 4)], [1, 0, 0, 0], "the blob itself, without a header");
  assert.equal(stored.includes("SECRET"), false);
  assert.equal(await ours.verifyPersistence(), true);
  assert.deepEqual(await ours.info(), {
    backend: "dpapiFile",
    protection: "osUser",
    survivesReboot: true,
    location: path,
    crashSafe: true,
  });
});

test("an absent file rejects with ENOENT, and delete returns whether there was one", async (t) => {
  const path = await place(t);
  const persistence = await open(path);
  assert.equal(await persistence.delete(), true);
  assert.equal(await persistence.delete(), false);
  const error = await rejection(persistence.load());
  assert.equal(error.name, "PersistenceError");
  assert.equal(error.errorCode, "ENOENT");
});

test("wrong entropy, truncation and garbage reject with DPAPIEncryptedFileError and change nothing", async (t) => {
  const path = await place(t);
  await (await open(path, "one")).save(CONTENT);
  const sealed = await readFile(path);
  for (const entropy of ["two", undefined]) {
    const error = await rejection((await open(path, entropy)).load());
    assert.ok(error instanceof ext.PersistenceError);
    assert.equal(error.errorCode, "DPAPIEncryptedFileError");
    assert.equal(error.code, "damaged");
  }
  assert.deepEqual(await readFile(path), sealed);
  assert.equal(await (await open(path, "one")).load(), CONTENT);
  for (const broken of [sealed.subarray(0, -1), sealed.subarray(0, 30), Buffer.from("no such blob")]) {
    await writeFile(path, broken);
    const error = await rejection((await open(path, "one")).load());
    assert.equal(error.errorCode, "DPAPIEncryptedFileError");
    assert.deepEqual(await readFile(path), Buffer.from(broken));
  }
});

test("the machine scope is used and reported", async (t) => {
  const path = await place(t);
  const persistence = await FilePersistenceWithDataProtection.create(path, DataProtectionScope.LocalMachine);
  await persistence.save(CONTENT);
  assert.equal(await persistence.load(), CONTENT);
  assert.equal((await persistence.info()).protection, "osMachine");
});

test("the creator chooses it, and the plugins of two programs see each other's changes", async (t) => {
  const path = await place(t);
  const create = () =>
    ext.PersistenceCreator.createPersistence({
      cachePath: path,
      dataProtectionScope: DataProtectionScope.CurrentUser,
      serviceName: "service",
      accountName: "account",
    });
  const [one, two] = [await create(), await create()];
  assert.ok(one instanceof FilePersistenceWithDataProtection);
  const [here, there] = [new PersistenceCachePlugin(one), new PersistenceCachePlugin(two)];
  const [ours, theirs] = [new Memory(), new Memory()];
  await change(here, ours, (/** @type {any} */ memory) => memory.signIn("ada"));
  await change(there, theirs, (/** @type {any} */ memory) => memory.signIn("bob"));
  assert.deepEqual(await list(here, ours), ["ada", "bob"]);
  assert.equal((await readFile(path)).includes("ada"), false);
  const left = (await readdir(join(path, ".."))).filter((name) => !name.startsWith("cache.bin"));
  assert.deepEqual(left, [], "nothing is left of the trial");
});

test("four processes that sign in without pause lose no account", async (t) => {
  const path = await place(t);
  await open(path);
  const names = ["a", "b", "c", "d"];
  await Promise.all(
    names.map(
      (name) =>
        new Promise((resolve, reject) => {
          fork(PEER, ["crowd", path, name]).once("exit", (code) =>
            code === 0 ? resolve(undefined) : reject(new Error(`${name} ended with ${code}`)),
          );
        }),
    ),
  );
  const plugin = new PersistenceCachePlugin(await open(path));
  const everybody = await list(plugin, new Memory());
  assert.equal(everybody.length, 40, everybody.join());
});

test("a killed holder does not block the next process", async (t) => {
  const path = await place(t);
  await (await open(path)).save(CONTENT);
  const holder = fork(PEER, ["hold", path]);
  await new Promise((resolve) => holder.once("message", resolve));
  await stat(`${path}.lockfile`);
  const gone = new Promise((resolve) => holder.once("exit", resolve));
  holder.kill("SIGKILL");
  await gone;
  const { naps } = await timed(async () => (await open(path)).save("{}"));
  assert.ok(naps < 10_000, `${naps} naps`);
  assert.equal(await (await open(path)).load(), "{}");
});

test("a held lock is an error in time, with the original's message", async (t) => {
  const path = await place(t);
  await open(path);
  const holder = fork(PEER, ["hold", path]);
  await new Promise((resolve) => holder.once("message", resolve));
  try {
    const plugin = new PersistenceCachePlugin(await open(path), { retryNumber: 3, retryDelay: 100 });
    const error = await rejection(change(plugin, new Memory(), (/** @type {any} */ m) => m.signIn("ada")));
    assert.equal(error.errorCode, "CrossPlatformLockError");
    assert.match(error.errorMessage, /^Not able to acquire lock\. Exceeded amount of retries set in options/);
    assert.match(error.errorMessage, new RegExp(`process ${holder.pid}\\b`));
  } finally {
    const gone = new Promise((resolve) => holder.once("exit", resolve));
    holder.kill("SIGKILL");
    await gone;
  }
});

test("worker threads use it at the same time", async (t) => {
  const path = await place(t);
  await open(path);
  const workers = ["v", "w", "x"].map(
    (name) =>
      new Promise((resolve, reject) => {
        const worker = new Worker(PEER, { argv: ["crowd", path, name] });
        worker.once("error", reject);
        worker.once("exit", resolve);
      }),
  );
  assert.deepEqual(await Promise.all(workers), [0, 0, 0]);
  assert.equal((await list(new PersistenceCachePlugin(await open(path)), new Memory())).length, 30);
});

test("plaintext in the place of a cache that Windows encrypts is refused and stays", async (t) => {
  const path = await place(t);
  const persistence = await open(path);
  await writeFile(path, CONTENT);
  assert.equal((await rejection(persistence.load())).code, "unprotected");
  assert.equal(await readFile(path, "utf8"), CONTENT);
});

test("the stores of other systems are an error at their first use", async (t) => {
  const directory = await scratchDirectory(t);
  for (const name of ["KeychainPersistence", "LibSecretPersistence"]) {
    const persistence = await ext[name].create(join(directory, name), "service", "account");
    assert.equal((await rejection(persistence.load())).errorCode, "NotSupportedError", name);
  }
});

test("a plaintext file works as elsewhere, and its errors have Node's codes", async (t) => {
  const path = join(await scratchDirectory(t), "plain.json");
  const persistence = await ext.FilePersistence.create(path);
  await persistence.save(CONTENT);
  assert.equal(await readFile(path, "utf8"), CONTENT);
  await unlink(path);
  assert.equal((await rejection(persistence.load())).errorCode, "ENOENT");
  const inTheWay = join(await scratchDirectory(t), "file");
  await writeFile(inTheWay, "");
  assert.equal(
    (await rejection(ext.FilePersistence.create(join(inTheWay, "x", "cache.json")))).name,
    "PersistenceError",
  );
});

test("a cache on a share is one cache under all of its names", async (t) => {
  const path = await place(t);
  // The administrative share of every drive on Windows; the prefix lifts the limit on the length.
  const share = path.replace(/^([a-z]):/i, "\\\\localhost\\$1$");
  assert.match(share, /^\\\\localhost\\[a-z]\$\\/i);
  const verbatim = `\\\\?\\UNC\\${share.slice(2)}`;
  for (const [name, one] of Object.entries({ ada: share, bob: path, eve: verbatim })) {
    const plugin = new PersistenceCachePlugin(await open(one));
    await change(plugin, new Memory(), (memory) => memory.signIn(name));
  }
  for (const one of [path, share, verbatim]) {
    const seen = await list(new PersistenceCachePlugin(await open(one)), new Memory());
    assert.deepEqual([...seen].sort(), ["ada", "bob", "eve"], one);
    assert.equal((await open(one)).getFilePath(), one);
  }
  const names = await readdir(join(path, ".."));
  assert.deepEqual(
    names.filter((name) => !name.endsWith(".tk-lock")),
    ["cache.bin"],
  );
});
