// @ts-check
/**
 * The creator does in one native call what it does step by step for a program that replaced any of its methods: the same
 * comes of both, and each method that was replaced is called.
 */
import assert from "node:assert/strict";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { startActor } from "../support/actor.mjs";
import { startSession } from "../support/session.mjs";

/** Creates a persistence, step by step where `stepwise`, and tells everything that can be seen of it. */
const create = async (/** @type {any} */ { ext, cachePath, stepwise, more }) => {
  const { PersistenceCreator, LibSecretPersistence, FilePersistence } = ext;
  const original = LibSecretPersistence.create;
  let steps = 0;
  if (stepwise) {
    LibSecretPersistence.create = (/** @type {any[]} */ ...words) => {
      steps += 1;
      return original.apply(LibSecretPersistence, words);
    };
  }
  /** @type {string[]} */
  const log = [];
  const loggerCallback = (/** @type {number} */ level, /** @type {string} */ text) =>
    log.push(`${level} ${text.slice(text.indexOf(" - ") + 3)}`);
  const config = { cachePath, dataProtectionScope: "CurrentUser", serviceName: "app", accountName: "user" };
  try {
    const made = await PersistenceCreator.createPersistence({
      ...config,
      loggerOptions: { loggerCallback },
      ...more,
    });
    const marker = Object.values(made).find((value) => value instanceof FilePersistence);
    const fields = [Object.keys(made), marker && Object.keys(marker)];
    await made.save('{"Account":{}}');
    const content = [await made.load(), await made.delete()];
    return { steps, log, name: made.constructor.name, info: await made.info(), fields, content };
  } catch (/** @type {any} */ error) {
    const { name, message, errorCode, code, cause } = error;
    return { steps, log, error: { name, message, errorCode, code, cause: `${cause}` } };
  } finally {
    LibSecretPersistence.create = original;
  }
};

/** What cannot be the same twice: times, and that a file was there the second time. @param {any} outcome */
function seen({ log, steps: _, ...outcome }) {
  return { ...outcome, log: [...new Set(log)] };
}

const KINDS = /** @type {const} */ (["none", "dead", "no-service", "locked", "keyring"]);

for (const kind of KINDS) {
  test(`session "${kind}": at once and step by step come to the same`, async (t) => {
    const session = await startSession(t, kind);
    const actor = await startActor(t, session.env);
    const cachePath = join(session.home, "app", "cache.json");
    for (const more of [
      {},
      { usePlaintextFileOnLinux: true },
      { usePlaintextFileOnLinux: true, fallback: [] },
    ]) {
      const quick = await actor.run(create, { cachePath, more });
      const slow = await actor.run(create, { cachePath, more, stepwise: true });
      assert.deepEqual([quick.steps, slow.steps], [0, 1]);
      assert.deepEqual(seen(quick), seen(slow));
      const works = kind === "keyring" || more.usePlaintextFileOnLinux === true;
      assert.equal(quick.error === undefined, works, JSON.stringify(quick));
    }
  });
}

test("a file that cannot be made, or not be replaced: the same error at once and step by step", async (t) => {
  const session = await startSession(t, "none");
  const actor = await startActor(t, session.env);
  const inTheWay = join(session.home, "file");
  await writeFile(inTheWay, "");
  const folder = join(session.home, "folder");
  await mkdir(folder);
  const linked = join(session.home, "open");
  await mkdir(linked);
  await writeFile(join(linked, "cache.json"), "tokenkeep is no cache");
  await chmod(linked, 0o777);
  for (const cachePath of [join(inTheWay, "cache.json"), folder, "", "a\0b", join(linked, "cache.json")]) {
    for (const more of [
      {},
      { usePlaintextFileOnLinux: true },
      { usePlaintextFileOnLinux: true, durability: "?" },
    ]) {
      const quick = await actor.run(create, { cachePath, more });
      const slow = await actor.run(create, { cachePath, more, stepwise: true });
      assert.deepEqual(seen(quick), seen(slow), cachePath);
    }
  }
});

/** Which of its methods are called, of those that are replaced one at a time by ones that do the same. */
const calls = async (/** @type {any} */ { ext, cachePath, names }) => {
  const config = { cachePath, dataProtectionScope: "CurrentUser", serviceName: "app", accountName: "user" };
  /** @type {string[]} */
  const called = [];
  for (const name of names) {
    const place = name.split(".");
    const method = place.pop();
    const owner = place.reduce((/** @type {any} */ from, /** @type {string} */ key) => from[key], ext);
    const own = Object.getOwnPropertyDescriptor(owner, method);
    const original = owner[method];
    owner[method] = function (/** @type {any[]} */ ...words) {
      called.push(name);
      return original.apply(this, words);
    };
    await ext.PersistenceCreator.createPersistence({ ...config, usePlaintextFileOnLinux: true });
    delete owner[method];
    if (own) {
      Object.defineProperty(owner, method, own);
    }
  }
  return [...new Set(called)];
};

test("each method of creation that was replaced is called", async (t) => {
  const session = await startSession(t, "none");
  const actor = await startActor(t, session.env);
  const verifying = ["verifyPersistence", "createForPersistenceValidation", "save", "getFilePath", "delete"];
  const names = [
    ...["getEnvironmentPlatform", "isLinuxPlatform", "isMacPlatform", "isWindowsPlatform"].map(
      (name) => `Environment.${name}`,
    ),
    "LibSecretPersistence.create",
    ...[...verifying, "getLogger"].map((name) => `LibSecretPersistence.prototype.${name}`),
    "FilePersistence.create",
    ...[...verifying, "load", "getLogger", "createCacheFile"].map(
      (name) => `FilePersistence.prototype.${name}`,
    ),
  ];
  assert.deepEqual(await actor.run(calls, { cachePath: join(session.home, "cache.json"), names }), names);
});
