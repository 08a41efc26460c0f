// @ts-check
/** Encrypted files: every type of key, real msal-node with each, and every fault of key or file. */
import assert from "node:assert/strict";
import { readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { inspect } from "node:util";
import { rejection } from "../contract/row.mjs";
import { change, Memory, namesIn } from "../plugin/memory.mjs";
import { startActor } from "../support/actor.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { lookup, store as storeItem } from "../support/secrets.mjs";
import { startSession } from "../support/session.mjs";
import { imported } from "../support/subject.mjs";
import { everyKey, kernelKeyName, keyFile, MAGIC, PASSPHRASE, removeKernelKey } from "./keys.mjs";

const { EncryptedFilePersistence, FilePersistence, migrate, PersistenceCachePlugin, PersistenceError } =
  await imported();

const SECRET = "the content that must not be seen";

/** Creates a directory, a path in it and a key file. @param {import("node:test").TestContext} t */
async function bench(t) {
  const directory = await scratchDirectory(t);
  const path = join(directory, "cache.bin");
  const key = { type: "keyFile", path: await keyFile(directory) };
  /** @type {string[]} */
  const lines = [];
  const logger = {
    loggerCallback: (/** @type {number} */ level, /** @type {string} */ text) =>
      lines.push(`${level} ${text}`),
    logLevel: 4,
  };
  return { directory, path, key, lines, logger };
}

/** Signs in with the real msal-node over an encrypted file. */
const signIn = async (/** @type {any} */ { tools, store, user }) => {
  const { client } = await tools.open(store);
  await tools.signInWithDeviceCode(client, user);
};
const names = async (/** @type {any} */ { tools, store }) => {
  const { client } = await tools.open(store, { network: "off" });
  const [first] = await tools.usernames(client);
  await tools.silently(client, first);
  return tools.usernames(client);
};

test("with every type of key, the next process finds the account, and the file contains no token", async (t) => {
  const session = await startSession(t, "none");
  for (const { name, key, env, info } of await everyKey(t, session.home)) {
    const cachePath = join(session.home, name, "cache.bin");
    const store = { kind: "EncryptedFilePersistence", cachePath, key };
    const one = await startActor(t, { ...session.env, ...env });
    await one.run(signIn, { store, user: "ada@contoso.example" });
    await one.leave();
    const bytes = await readFile(cachePath);
    assert.deepEqual(bytes.subarray(0, 8), MAGIC, name);
    assert.equal(bytes.includes("contoso"), false, name);
    assert.equal((await stat(cachePath)).mode & 0o777, 0o600, name);
    const two = await startActor(t, { ...session.env, ...env });
    assert.deepEqual(await two.run(names, { store }), ["ada@contoso.example"], name);
    const found = await two.run(
      async (/** @type {any} */ { tools, store }) => (await tools.createPersistence(store)).info(),
      { store },
    );
    const expected = { backend: "encryptedFile", location: cachePath, crashSafe: true, ...info };
    assert.deepEqual(found, expected, name);
    await two.leave();
  }
});

test("a key of the desktop's portal, where there is none, is an error that names the portal", async (t) => {
  const session = await startSession(t);
  const actor = await startActor(t, session.env);
  const error = await actor.run(
    async (/** @type {any} */ { tools, store }) => {
      const persistence = await tools.createPersistence(store);
      return persistence.save("{}").then(
        () => "",
        (/** @type {any} */ error) => `${error.code}: ${error.message}`,
      );
    },
    {
      store: {
        kind: "EncryptedFilePersistence",
        cachePath: join(session.home, "cache.bin"),
        key: { type: "portal" },
      },
    },
  );
  assert.match(error, /^store_unavailable: .*no portal that keeps secrets/);
});

test("a key in the keyring: one small item, a cache of any size, and separate errors for the item's failures", async (t) => {
  const session = await startSession(t);
  const cachePath = join(session.home, "cache.bin");
  const key = { type: "keystore", serviceName: "tokenkeep tests", accountName: "key" };
  const store = { kind: "EncryptedFilePersistence", cachePath, key };
  const one = await startActor(t, session.env);
  await one.run(signIn, { store, user: "ada@contoso.example" });
  const item = await lookup(session, "tokenkeep tests", "key");
  assert.equal(Buffer.from(item ?? "", "base64").length, 32);
  const two = await startActor(t, session.env);
  assert.deepEqual(await two.run(names, { store }), ["ada@contoso.example"]);
  const large = await two.run(
    async (/** @type {any} */ { tools, store, path }) => {
      const persistence = await tools.createPersistence({ ...store, cachePath: path });
      const content = "x".repeat(8 << 20);
      await persistence.save(content);
      return { same: (await persistence.load()) === content, info: await persistence.info() };
    },
    { store, path: join(session.home, "large.bin") },
  );
  assert.equal(large.same, true);
  assert.equal(large.info.protection, "osUser");

  const load = async (/** @type {any} */ { tools, store }) => (await tools.createPersistence(store)).load();
  await session.lock();
  const three = await startActor(t, session.env);
  const locked = await rejection(three.run(load, { store }));
  assert.deepEqual([locked.errorCode, locked.fields.code], ["GnomeKeyringError", "store_locked"]);
  const away = await startActor(t, (await startSession(t, "none")).env);
  const absent = await rejection(away.run(load, { store }));
  assert.deepEqual([absent.errorCode, absent.fields.code], ["GnomeKeyringError", "store_unavailable"]);
});

test("an absent item is a missing key, an item with other content is a wrong key and stays", async (t) => {
  const session = await startSession(t);
  const cachePath = join(session.home, "cache.bin");
  const one = await startActor(t, session.env);
  const key = { type: "keystore", serviceName: "s", accountName: "key" };
  const store = { kind: "EncryptedFilePersistence", cachePath, key };
  await one.run(signIn, { store, user: "ada@contoso.example" });
  const load = async (/** @type {any} */ { tools, store }) => (await tools.createPersistence(store)).load();
  const other = { ...store, key: { ...key, accountName: "another" } };
  const two = await startActor(t, session.env);
  await assert.rejects(two.run(load, { store: other }), { errorCode: "MissingKeyError" });
  await storeItem(session, { service: "s", account: "another" }, "my password");
  await assert.rejects(two.run(load, { store: other }), { errorCode: "WrongKeyError" });
  assert.equal(await lookup(session, "s", "another"), "my password");
});

describe("every fault has its own error code, and nothing is written", () => {
  /** @type {[string, string, (file: { path: string, directory: string }) => Promise<object | void>][]} */
  const FAULTS = [
    [
      "WrongKeyError",
      "another key",
      async ({ directory }) => ({ type: "keyFile", path: await keyFile(directory, "another") }),
    ],
    ["WrongKeyError", "another type of key", async () => ({ type: "passphrase", passphrase: PASSPHRASE })],
    [
      "MissingKeyError",
      "no such key file",
      async ({ directory }) => ({ type: "keyFile", path: join(directory, "nowhere") }),
    ],
    [
      "MissingKeyError",
      "no such variable",
      async () => ({ type: "environment", environmentVariable: "TOKENKEEP_TEST_UNSET" }),
    ],
    [
      "DamagedError",
      "one bit flipped",
      async ({ path }) => {
        const bytes = await readFile(path);
        bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
        await writeFile(path, bytes);
      },
    ],
    ["DamagedError", "not ours at all", ({ path }) => writeFile(path, "neither this nor that")],
    [
      "TruncatedError",
      "its last byte missing",
      async ({ path }) => truncate(path, (await stat(path)).size - 1),
    ],
    ["TruncatedError", "ending within its header", ({ path }) => truncate(path, 30)],
    [
      "UnknownFormatError",
      "written by another release",
      async ({ path }) => {
        const { createHash } = await import("node:crypto");
        const bytes = await readFile(path);
        const end = bytes.readUInt16BE(8) - 8;
        bytes.writeUInt8(9, 10);
        createHash("sha256").update(bytes.subarray(0, end)).digest().copy(bytes, end, 0, 8);
        await writeFile(path, bytes);
      },
    ],
  ];

  for (const [errorCode, what, spoil] of FAULTS) {
    test(`${errorCode}: ${what}`, async (t) => {
      const { path, key, directory, lines, logger } = await bench(t);
      await (await EncryptedFilePersistence.create(path, key)).save(SECRET);
      const other = await spoil({ path, directory });
      const before = await readFile(path);
      const persistence = await EncryptedFilePersistence.create(path, other ?? key, logger);
      const error = await rejection(persistence.load());
      assert.ok(error instanceof PersistenceError);
      assert.equal(error.errorCode, errorCode, error.message);
      assert.equal(`${error.code}_error`.replaceAll("_", ""), errorCode.toLowerCase());
      const names = [path, "nowhere", "TOKENKEEP_TEST_UNSET"];
      assert.ok(
        names.some((name) => error.message.includes(name)),
        error.message,
      );
      assert.deepEqual(await readFile(path), before);
      if (other !== undefined) {
        for (const attempt of [() => persistence.save("{}"), () => persistence.verifyPersistence()]) {
          const refused = await rejection(attempt);
          assert.equal(refused.code, error.code, refused.message);
        }
        assert.deepEqual(await readFile(path), before);
      }
      assert.doesNotMatch(`${inspect(error)}${lines.join("")}`, /must not be seen|correct horse/);
    });
  }

  test("a cache under another partition's name is not accepted", async (t) => {
    const { path, key } = await bench(t);
    const one = await EncryptedFilePersistence.create(path, key, undefined, { partition: "one" });
    await one.save(SECRET);
    const two = await EncryptedFilePersistence.create(path, key, undefined, { partition: "two" });
    assert.equal((await rejection(two.load())).errorCode, "DamagedError");
    const plain = await FilePersistence.create(path);
    assert.equal((await rejection(plain.load())).errorCode, "MissingKeyError");
    assert.equal((await rejection(plain.save("{}"))).errorCode, "MissingKeyError");
    assert.equal(await one.load(), SECRET);
  });

  test("a plugin moves damaged content aside with an event, and content with a wrong key stays", async (t) => {
    const { path, key, directory } = await bench(t);
    /** @type {any[]} */
    const events = [];
    const plugin = async (/** @type {any} */ key) =>
      new PersistenceCachePlugin(await EncryptedFilePersistence.create(path, key), undefined, {
        onEvent: (/** @type {any} */ event) => events.push(event),
      });
    await change(await plugin(key), new Memory(), (memory) => memory.signIn("ada"));
    const whole = await readFile(path);
    const wrong = await plugin({ type: "keyFile", path: await keyFile(directory, "another") });
    const refused = await rejection(change(wrong, new Memory(), (memory) => memory.signIn("bob")));
    assert.equal(refused.errorCode, "WrongKeyError");
    assert.deepEqual(await readFile(path), whole);
    await truncate(path, whole.length - 1);
    await change(await plugin(key), new Memory(), (memory) => memory.signIn("bob"));
    const stored = await (await EncryptedFilePersistence.create(path, key)).load();
    assert.deepEqual(namesIn(stored), ["bob"]);
    const [event] = events.filter(({ kind }) => kind === "setAside");
    assert.deepEqual(await readFile(event.copy), whole.subarray(0, -1));
  });
});

describe("its path", () => {
  test("an absent file is null; delete returns whether there was one", async (t) => {
    const { path, key, lines, logger } = await bench(t);
    const persistence = await EncryptedFilePersistence.create(path, key, logger);
    assert.equal(await persistence.load(), null);
    assert.equal(await persistence.verifyPersistence(), true);
    assert.equal(await persistence.load(), null);
    await persistence.save("{}");
    assert.equal(await persistence.load(), "{}");
    assert.equal(await persistence.reloadNecessary(0), true);
    assert.equal(await persistence.reloadNecessary(Date.now() + 60_000), false);
    assert.equal(await persistence.delete(), true);
    assert.equal(await persistence.load(), null);
    assert.equal(await persistence.delete(), false);
    assert.ok(lines.some((line) => line.startsWith("1 ") && line.includes("no cache file to delete")));
  });

  test("plaintext in the place of an encrypted cache is refused, and moved by migrate", async (t) => {
    const { path, key, directory } = await bench(t);
    const memory = new Memory();
    memory.signIn("ada");
    await writeFile(path, memory.serialize());
    /** @type {any[]} */
    const events = [];
    const persistence = await EncryptedFilePersistence.create(path, key);
    const onEvent = (/** @type {any} */ event) => events.push(event);
    const plugin = new PersistenceCachePlugin(persistence, undefined, { onEvent });
    const refused = await rejection(persistence.load());
    assert.equal(refused.code, "unprotected");
    assert.match(refused.message, /move it with migrate/);
    await assert.rejects(change(plugin, new Memory(), (other) => other.signIn("bob")));
    assert.equal(await readFile(path, "utf8"), memory.serialize());
    assert.deepEqual(events, []);
    await migrate(await FilePersistence.create(path), persistence);
    assert.deepEqual((await readFile(path)).subarray(0, 8), MAGIC);
    await change(plugin, new Memory(), (other) => other.signIn("bob"));
    assert.deepEqual(namesIn(await persistence.load()), ["ada", "bob"]);
    assert.deepEqual((await readdir(directory)).sort(), ["cache.bin", "cache.bin.tk-lock", "key"]);
  });

  test("a lost kernel key leaves an empty cache, one event, and a copy of the old file", async (t) => {
    const { path, lines, logger } = await bench(t);
    const name = kernelKeyName(t);
    const key = { type: "kernelKeyring", name };
    const persistence = await EncryptedFilePersistence.create(path, key, logger);
    /** @type {any[]} */
    const events = [];
    const onEvent = (/** @type {any} */ event) => events.push(event);
    const plugin = new PersistenceCachePlugin(persistence, undefined, { onEvent });
    await change(plugin, new Memory(), (memory) => memory.signIn("ada"));
    const old = await readFile(path);
    assert.equal(await removeKernelKey(name), true);
    const again = new Memory();
    const later = new PersistenceCachePlugin(
      await EncryptedFilePersistence.create(path, key, logger),
      undefined,
      { onEvent },
    );
    await change(later, again, (memory) => memory.signIn("bob"));
    assert.deepEqual(again.names(), ["bob"]);
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ["lapsed"],
    );
    assert.deepEqual(await readFile(`${path}.lapsed`), old);
    assert.ok(lines.some((line) => line.startsWith("1 ") && line.includes("lapsed")));
  });

  test("an invalid description of a key is refused at once and never printed", async (t) => {
    const { path, key } = await bench(t);
    const wrong = [
      undefined,
      null,
      "secret!",
      {},
      { type: "secret!" },
      { type: "keystore", serviceName: "s" },
      { type: "kernelKeyring", name: "" },
      { type: "passphrase" },
      { type: "passphrase", passphrase: "" },
      { type: "passphrase", passphrase: 12345 },
      { type: "passphrase", passphrase: "secret!", environmentVariable: "X" },
      { type: "keyFile" },
      { type: "environment", environmentVariable: "" },
    ];
    for (const one of wrong) {
      const error = await rejection(EncryptedFilePersistence.create(path, one));
      assert.ok(error instanceof PersistenceError, inspect(one));
      assert.match(error.errorCode, /^ERR_INVALID_ARG_(TYPE|VALUE)$/);
      assert.doesNotMatch(inspect(error), /secret!|12345/);
    }
    for (const options of [{ partition: "" }, { allowPrompt: "maybe" }, { promptTimeout: 0 }]) {
      const error = await rejection(EncryptedFilePersistence.create(path, key, undefined, options));
      assert.match(error.errorCode, /^ERR_INVALID_ARG_(TYPE|VALUE)$/, inspect(options));
    }
  });

  test("printing it at any depth shows no passphrase", async (t) => {
    const { path } = await bench(t);
    const key = { type: "passphrase", passphrase: PASSPHRASE };
    const persistence = await EncryptedFilePersistence.create(path, key);
    const plugin = new PersistenceCachePlugin(persistence);
    for (const one of [persistence, plugin]) {
      const shown = inspect(one, { depth: 20, showHidden: true, getters: true }) + JSON.stringify(one);
      assert.doesNotMatch(shown, /correct horse/);
    }
  });
});
