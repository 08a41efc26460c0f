// @ts-check
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { startActor } from "../../support/actor.mjs";
import { startSession } from "../../support/session.mjs";
import { change, improve, keep, rejection } from "../row.mjs";

const PREFIX = "Verifing persistence failed with the error: ";

keep("verifyPersistence()", "file: true, and nothing is left behind", async (_, { ext, dir }) => {
  const persistence = await ext.FilePersistence.create(join(dir, "cache.json"));
  await persistence.save("content");
  assert.equal(await persistence.verifyPersistence(), true);
  assert.equal(await persistence.load(), "content");
  // The lock file may stay; no probe may.
  const left = (await readdir(dir)).filter((name) => !name.startsWith("cache.json"));
  assert.deepEqual(left, []);
});

keep("verifyPersistence()", "keyring: true, and the item itself is not touched", async (t) => {
  const session = await startSession(t);
  const actor = await startActor(t, session.env);
  const result = await actor.run(
    async ({ ext, path }) => {
      const persistence = await ext.LibSecretPersistence.create(path, "service", "account");
      await persistence.save("content");
      return [await persistence.verifyPersistence(), await persistence.load()];
    },
    { path: join(session.home, "cache.json") },
  );
  assert.deepEqual(result, [true, "content"]);
});

/** @param {any} error */
function assertVerificationError(error) {
  assert.equal(error.name, "PersistenceError");
  assert.equal(error.errorCode, "CachePersistenceError");
  assert.ok(error.errorMessage.startsWith(PREFIX), error.errorMessage);
}

keep(
  "verifyPersistence()",
  "a failing save is a CachePersistenceError that names it",
  async (t, { ext, dir }) => {
    const persistence = await ext.FilePersistence.create(join(dir, "cache.json"));
    t.mock.method(ext.FilePersistence.prototype, "save", async () => {
      throw new Error("no more paper");
    });
    const error = await rejection(persistence.verifyPersistence());
    assertVerificationError(error);
    assert.match(error.message, /no more paper/);
  },
);

keep(
  "verifyPersistence()",
  "reading nothing, or something else, is a CachePersistenceError",
  async (t, bench) => {
    const persistence = await bench.ext.FilePersistence.create(join(bench.dir, "cache.json"));
    for (const read of ["", null, "something else"]) {
      const mock = t.mock.method(bench.ext.FilePersistence.prototype, "load", async () => read);
      assertVerificationError(await rejection(persistence.verifyPersistence()));
      mock.mock.restore();
    }
  },
);

keep("verifyPersistence()", "DPAPI off Windows is a CachePersistenceError", async (_, { ext, dir }) => {
  const persistence = await ext.FilePersistenceWithDataProtection.create(
    join(dir, "cache.bin"),
    "CurrentUser",
  );
  const error = await rejection(persistence.verifyPersistence());
  assertVerificationError(error);
  assert.match(error.message, /Dpapi is not supported on this platform/);
});

/** Verifies beside a file with the original's probe name. @param {import("../row.mjs").Bench} bench */
async function verifyBesideNeighbour({ ext, dir }) {
  await writeFile(join(dir, "test.cache"), "somebody's");
  const persistence = await ext.FilePersistence.create(join(dir, "cache.json"));
  await persistence.verifyPersistence();
}

improve("verifyPersistence()", "leaves a neighbour named test.cache alone", {
  async original(_, bench) {
    await verifyBesideNeighbour(bench);
    await assert.rejects(readFile(join(bench.dir, "test.cache")), { code: "ENOENT" });
  },
  async ours(_, bench) {
    await verifyBesideNeighbour(bench);
    assert.equal(await readFile(join(bench.dir, "test.cache"), "utf8"), "somebody's");
  },
});

/** Returns the names in the directory after a failed verification. @param {import("node:test").TestContext} t @param {import("../row.mjs").Bench} bench */
async function leftovers(t, { ext, dir }) {
  const persistence = await ext.FilePersistence.create(join(dir, "cache.json"));
  t.mock.method(ext.FilePersistence.prototype, "load", async () => "something else");
  assertVerificationError(await rejection(persistence.verifyPersistence()));
  return (await readdir(dir)).filter((name) => !name.startsWith("cache.json"));
}

improve("verifyPersistence()", "cleans up after a failure too", {
  original: async (t, bench) => assert.deepEqual(await leftovers(t, bench), ["test.cache"]),
  ours: async (t, bench) => assert.deepEqual(await leftovers(t, bench), []),
});

keep(
  "createForPersistenceValidation()",
  "gives the same class in the same directory",
  async (_, { ext, dir }) => {
    for (const persistence of [
      await ext.FilePersistence.create(join(dir, "cache.json")),
      await ext.FilePersistenceWithDataProtection.create(join(dir, "cache.json"), "LocalMachine"),
      await ext.KeychainPersistence.create(join(dir, "cache.json"), "service", "account"),
      await ext.LibSecretPersistence.create(join(dir, "cache.json"), "service", "account"),
    ]) {
      const probe = await persistence.createForPersistenceValidation();
      assert.equal(probe.constructor, persistence.constructor);
      assert.equal(dirname(probe.getFilePath()), dir);
      assert.notEqual(probe.getFilePath(), persistence.getFilePath());
    }
  },
);

/** Base names of two probes. @param {import("../row.mjs").Bench} bench */
async function probeNames({ ext, dir }) {
  const persistence = await ext.FilePersistence.create(join(dir, "cache.json"));
  const probes = [
    await persistence.createForPersistenceValidation(),
    await persistence.createForPersistenceValidation(),
  ];
  return probes.map((probe) => basename(probe.getFilePath()));
}

change("createForPersistenceValidation()", "uses a name of its own every time", {
  original: async (_, bench) => assert.deepEqual(await probeNames(bench), ["test.cache", "test.cache"]),
  async ours(_, bench) {
    const [one, two] = await probeNames(bench);
    assert.notEqual(one, two);
  },
});
