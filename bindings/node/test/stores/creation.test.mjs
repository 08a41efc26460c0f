// @ts-check
/**
 * The addon opens the stores of a configuration in one call. A store of which a method was replaced is created and verified
 * by its methods. Both give the same result, and each replaced method is called.
 */
import assert from "node:assert/strict";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { startActor } from "../support/actor.mjs";
import { startSession } from "../support/session.mjs";
import { keyFile, PASSPHRASE } from "./keys.mjs";

/** Creates a persistence, by methods where one of them is replaced, and returns everything that can be seen of it. */
const create = async (/** @type {any} */ { ext, cachePath, byMethods, more }) => {
  const { PersistenceCreator, LibSecretPersistence, FilePersistence } = ext;
  const original = LibSecretPersistence.create;
  let calls = 0;
  if (byMethods) {
    LibSecretPersistence.create = (/** @type {any[]} */ ...words) => {
      calls += 1;
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
    return { calls, log, name: made.constructor.name, info: await made.info(), fields, content };
  } catch (/** @type {any} */ error) {
    const { name, message, errorCode, code, cause } = error;
    return { calls, log, error: { name, message, errorCode, code, cause: `${cause}` } };
  } finally {
    LibSecretPersistence.create = original;
  }
};

/** What cannot be the same twice: times, and that a file was there the second time. @param {any} outcome */
function seen({ log, calls: _, ...outcome }) {
  return { ...outcome, log: [...new Set(log)] };
}

const KINDS = /** @type {const} */ (["none", "dead", "no-service", "locked", "keyring"]);

for (const kind of KINDS) {
  test(`session "${kind}": the addon and the methods give the same result`, async (t) => {
    const session = await startSession(t, kind);
    const actor = await startActor(t, session.env);
    const cachePath = join(session.home, "app", "cache.json");
    for (const more of [
      {},
      { usePlaintextFileOnLinux: true },
      { usePlaintextFileOnLinux: true, fallback: [] },
    ]) {
      const native = await actor.run(create, { cachePath, more });
      const called = await actor.run(create, { cachePath, more, byMethods: true });
      assert.deepEqual([native.calls, called.calls], [0, 1]);
      assert.deepEqual(seen(native), seen(called));
      const works = kind === "keyring" || more.usePlaintextFileOnLinux === true;
      assert.equal(native.error === undefined, works, JSON.stringify(native));
    }
  });
}

test("a file that cannot be made, or not be replaced: the addon and the methods give the same error", async (t) => {
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
      const native = await actor.run(create, { cachePath, more });
      const called = await actor.run(create, { cachePath, more, byMethods: true });
      assert.deepEqual(seen(native), seen(called), cachePath);
    }
  }
});

/** Which of its methods are called, of those that are replaced one at a time by ones that do the same. */
const whichCalled = async (/** @type {any} */ { ext, cachePath, names }) => {
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
  assert.deepEqual(
    await actor.run(whichCalled, { cachePath: join(session.home, "cache.json"), names }),
    names,
  );
});

/** Creates with these fallbacks, some methods replaced, and returns the class that was chosen, the calls and the warnings. */
const choose = async (/** @type {any} */ { ext, cachePath, fallback, replaced = [], more }) => {
  /** @type {string[]} */
  const called = [];
  for (const name of replaced) {
    const { prototype } = ext[name];
    const original = prototype.verifyPersistence;
    prototype.verifyPersistence = function () {
      called.push(name);
      return original.call(this);
    };
  }
  const names = { serviceName: "app", accountName: "user", dataProtectionScope: "CurrentUser" };
  const create = () => ext.PersistenceCreator.createPersistence({ cachePath, ...names, fallback, ...more });
  /** @type {{ code: string, message: string }[]} */
  const warnings = [];
  process.on("warning", (/** @type {any} */ { code, message }) => warnings.push({ code, message }));
  const made = await create();
  await create();
  await new Promise((resolve) => setImmediate(resolve));
  return { name: made.constructor.name, called, warnings, content: await made.load() };
};

test("a replaced method in the middle of the fallbacks is called, after the stores before it failed", async (t) => {
  const session = await startSession(t, "none");
  const actor = await startActor(t, session.env);
  const cachePath = join(session.home, "cache.json");
  const nowhere = { type: "encryptedFile", key: { type: "keyFile", path: join(session.home, "nowhere") } };
  const fallback = [nowhere, { type: "memory" }];
  const replaced = ["EncryptedFilePersistence"];
  const got = await actor.run(choose, { cachePath, fallback, replaced });
  assert.deepEqual([got.name, got.called], ["MemoryPersistence", [...replaced, ...replaced]]);
});

test("a plaintext file is told to the process once, with a code", async (t) => {
  const session = await startSession(t, "none");
  const cachePath = join(session.home, "cache.json");
  for (const words of [
    { fallback: [{ type: "plaintextFile" }] },
    { fallback: [], more: { usePlaintextFileOnLinux: true } },
  ]) {
    const actor = await startActor(t, session.env);
    /** @type {{ warnings: { code: string, message: string }[] }} */
    const { warnings } = await actor.run(choose, { cachePath, ...words });
    assert.deepEqual(
      warnings.map(({ code }) => code),
      ["TOKENKEEP_PLAINTEXT"],
    );
    assert.ok(warnings[0]?.message.includes(cachePath), warnings[0]?.message);
  }
});

/** Creates with a passphrase that the program gives or fails to give, and a key file after it. */
const ask = async (/** @type {any} */ { ext, cachePath, answer, path }) => {
  let asked = 0;
  const passphrase = () => {
    asked += 1;
    if (answer === undefined) {
      throw new Error("the person went away");
    }
    return answer;
  };
  const made = await ext.PersistenceCreator.createPersistence({
    cachePath,
    serviceName: "app",
    accountName: "user",
    dataProtectionScope: "CurrentUser",
    fallback: [
      { type: "encryptedFile", key: { type: "passphrase", passphrase } },
      { type: "encryptedFile", key: { type: "keyFile", path } },
      // Plaintext may stand at the path.
      { type: "plaintextFile" },
    ],
  });
  return { asked, protection: (await made.info()).protection, content: await made.load() };
};

test("a store whose passphrase has to be asked for is not passed over, and is where the program cannot give it", async (t) => {
  const session = await startSession(t, "none");
  const path = await keyFile(session.home);
  const content = '{"Account":{}}';
  for (const [answer, protection] of [
    [PASSPHRASE, "passphrase"],
    [undefined, "keyFile"],
  ]) {
    const cachePath = join(session.home, protection ?? "", "cache.json");
    await mkdir(join(session.home, protection ?? ""));
    // The store that is chosen encrypts it in its place: none may do so before the program was asked.
    await writeFile(cachePath, content, { mode: 0o600 });
    const actor = await startActor(t, session.env);
    const got = await actor.run(ask, { cachePath, answer, path });
    assert.deepEqual([got.protection, got.content], [protection, content]);
    assert.ok(got.asked >= 1);
  }
});
