// @ts-check
import assert from "node:assert/strict";
import { chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { startActor } from "../../support/actor.mjs";
import { startSession } from "../../support/session.mjs";
import { improve, keep, rejection } from "../row.mjs";

/** Each class with the arguments after the path. */
const CLASSES = /** @type {const} */ ([
  ["FilePersistence", []],
  ["FilePersistenceWithDataProtection", ["CurrentUser"]],
  ["KeychainPersistence", ["service", "account"]],
  ["LibSecretPersistence", ["service", "account"]],
]);

/** @param {string} path */
const mode = async (path) => (await stat(path)).mode & 0o777;

for (const [name, more] of CLASSES) {
  keep(
    "create()",
    `${name}: makes directories 0700 and an empty file 0600, whatever the umask`,
    async (t, bench) => {
      const before = process.umask(0);
      t.after(() => process.umask(before));
      const path = join(bench.dir, "one", "two", "cache.json");
      const persistence = await bench.ext[name].create(path, ...more);
      assert.ok(persistence instanceof bench.ext[name]);
      assert.equal(await mode(path), 0o600);
      assert.equal(await mode(dirname(path)), 0o700);
      assert.equal(await mode(dirname(dirname(path))), 0o700);
      assert.equal(await readFile(path, "utf8"), "");
    },
  );

  keep("create()", `${name}: tightens an existing file and keeps what is in it`, async (_, { ext, dir }) => {
    const path = join(dir, "cache.json");
    await writeFile(path, "content");
    await chmod(path, 0o666);
    await ext[name].create(path, ...more);
    assert.equal(await mode(path), 0o600);
    assert.equal(await readFile(path, "utf8"), "content");
  });
}

keep("create()", "no class asks the keystore for anything", async (t, { dir }) => {
  // On a bus that never answers, a call would be noticed by its deadline.
  const session = await startSession(t, "mute");
  const actor = await startActor(t, session.env);
  const { result, naps } = await actor.run(
    ({ ext, timed, dir }) =>
      timed(async () => [
        (await ext.KeychainPersistence.create(`${dir}/keychain`, "service", "account")).constructor.name,
        (await ext.LibSecretPersistence.create(`${dir}/secret`, "service", "account")).constructor.name,
      ]),
    { dir },
  );
  assert.deepEqual(result, ["KeychainPersistence", "LibSecretPersistence"]);
  assert.ok(naps < 2_000, `${naps} naps`);
});

improve("create() errors", "a path that cannot be opened gives a PersistenceError with errorCode and code", {
  async original(_, { ext, dir }) {
    const error = await rejection(ext.FilePersistence.create(dir));
    assert.equal(error.name, "Error");
    assert.equal(error.errorCode, undefined);
    assert.equal(error.code, "EISDIR");
  },
  async ours(_, { ext, dir }) {
    const error = await rejection(ext.FilePersistence.create(dir));
    assert.ok(error instanceof ext.PersistenceError);
    assert.equal(error.errorCode, "EISDIR");
    assert.equal(error.code, "EISDIR");
  },
});

improve("create() errors", "a directory that cannot be made does so too", {
  async original(_, { ext, dir }) {
    await writeFile(join(dir, "file"), "");
    const error = await rejection(ext.FilePersistence.create(join(dir, "file", "cache.json")));
    assert.equal(error.name, "Error");
    assert.equal(error.code, "ENOTDIR");
  },
  async ours(_, { ext, dir }) {
    await writeFile(join(dir, "file"), "");
    const error = await rejection(ext.FilePersistence.create(join(dir, "file", "cache.json")));
    assert.ok(error instanceof ext.PersistenceError);
    assert.equal(error.errorCode, "ENOTDIR");
    assert.equal(error.code, "ENOTDIR");
  },
});

keep("create() errors", "a path that is no path is refused with ERR_INVALID_ARG_TYPE", async (_, { ext }) => {
  const error = await rejection(ext.FilePersistence.create(undefined));
  assert.equal(error.name, "PersistenceError");
  assert.equal(error.errorCode, "ERR_INVALID_ARG_TYPE");
});

keep("new FilePersistence(path)", "works from JavaScript, without create()", async (_, { ext, dir }) => {
  const path = join(dir, "cache.json");
  const persistence = new ext.FilePersistence(path);
  await persistence.save("content");
  assert.equal(await readFile(path, "utf8"), "content");
  assert.equal(await mode(path), 0o600);
  assert.equal(await persistence.load(), "content");
});

keep("paths", "getFilePath() and lockFilePath are the path as it was given", async (t, { ext, dir }) => {
  const before = process.cwd();
  t.after(() => process.chdir(before));
  process.chdir(dir);
  for (const [name, more] of CLASSES) {
    const persistence = await ext[name].create("./sub/../cache.json", ...more);
    assert.equal(persistence.getFilePath(), "./sub/../cache.json");
    assert.equal(new ext.PersistenceCachePlugin(persistence).lockFilePath, "./sub/../cache.json.lockfile");
  }
});

/** @param {import("node:test").TestContext} t @param {import("../row.mjs").Bench} bench */
async function saveAfterChdir(t, { ext, dir }) {
  const before = process.cwd();
  t.after(() => process.chdir(before));
  await mkdir(join(dir, "elsewhere"));
  process.chdir(dir);
  const persistence = await ext.FilePersistence.create("cache.json");
  process.chdir("elsewhere");
  await persistence.save("content");
}

improve("paths", "a relative path means the directory the program was in when it called create()", {
  async original(t, bench) {
    await saveAfterChdir(t, bench);
    assert.equal(await readFile(join(bench.dir, "elsewhere", "cache.json"), "utf8"), "content");
  },
  async ours(t, bench) {
    await saveAfterChdir(t, bench);
    assert.equal(await readFile(join(bench.dir, "cache.json"), "utf8"), "content");
  },
});
