// @ts-check
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { imported, required, subject } from "../../support/subject.mjs";
import { copyPackage, play } from "../installation.mjs";
import { improve, keep } from "../row.mjs";

const VALUES = [
  "DataProtectionScope",
  "Environment",
  "FilePersistence",
  "FilePersistenceWithDataProtection",
  "KeychainPersistence",
  "LibSecretPersistence",
  "NativeBrokerPlugin",
  "PersistenceCachePlugin",
  "PersistenceCreator",
];

keep("exports", "the nine values are there, by import and by require", async () => {
  for (const module of [await imported(), required()]) {
    for (const name of VALUES) {
      assert.equal(typeof module[name], name === "DataProtectionScope" ? "object" : "function", name);
    }
  }
});

keep("exports", "DataProtectionScope has its two values", async (_, { ext }) => {
  assert.deepEqual(
    { ...ext.DataProtectionScope },
    { CurrentUser: "CurrentUser", LocalMachine: "LocalMachine" },
  );
});

keep("exports", "./package.json can be required", () => {
  const manifest = createRequire(import.meta.url)(`${subject}/package.json`);
  assert.equal(manifest.name, subject);
});

keep("exports", "import and require offer the same names", async () => {
  const names = Object.keys(await imported()).filter(
    (name) => name !== "default" && name !== "module.exports",
  );
  assert.deepEqual(names.sort(), Object.keys(required()).sort());
});

keep("exports", "a test double can take the place of an export, and classes have their names", () => {
  const module = required();
  for (const name of VALUES.filter((name) => name !== "DataProtectionScope")) {
    const original = module[name];
    assert.equal(original.name, name);
    const double = class {};
    module[name] = double;
    assert.equal(module[name], double);
    module[name] = original;
  }
});

improve("exports", "PersistenceError is exported, so that a program can catch by class", {
  async original(_, { ext }) {
    assert.equal(ext.PersistenceError, undefined);
  },
  async ours(_, { ext, dir }) {
    const file = new ext.FilePersistence(`${dir}/absent`);
    await assert.rejects(file.load(), ext.PersistenceError);
  },
});

improve("exports", "import and require give one and the same class, so that instanceof holds across them", {
  async original() {
    const [esm, cjs] = [await imported(), required()];
    assert.notEqual(esm.FilePersistence, cjs.FilePersistence);
  },
  async ours() {
    const [esm, cjs] = [await imported(), required()];
    for (const name of [...VALUES, "PersistenceError"]) {
      assert.equal(esm[name], cjs[name], name);
    }
  },
});

/** A runtime that is installed, so that only the addons are missing. */
const RUNTIME = "exports.msalNodeRuntime = {};";

/** Uses what needs no native code, and prints how far it came. */
const WITHOUT_ADDON = `
  let at = "import";
  try {
    const { createRequire } = await import("node:module");
    const ext = createRequire(import.meta.url)("${subject}");
    at = "environment";
    ext.Environment.getUserRootDirectory();
    at = "creation";
    const persistence = await ext.LibSecretPersistence.create("cache.json", "service", "account");
    at = "use";
    await persistence.load();
    at = "end";
  } catch (error) {
    console.log(at, error.name);
  }`;

improve("exports", "without the compiled addon the package still imports, and fails at use, typed", {
  async original(_, { dir }) {
    await copyPackage(dir, { runtime: RUNTIME, native: false });
    assert.equal(await play(dir, WITHOUT_ADDON), "import Error");
  },
  async ours(_, { dir }) {
    await copyPackage(dir, { native: false });
    assert.match(await play(dir, WITHOUT_ADDON), /^(creation|use) PersistenceError$/);
  },
});
