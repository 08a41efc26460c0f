// @ts-check
/** Moving between stores: by hand, at opening when a better store is available again, and with the real original. */
import assert from "node:assert/strict";
import { readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { rejection } from "../contract/row.mjs";
import { change, Memory, namesIn } from "../plugin/memory.mjs";
import { startActor } from "../support/actor.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { lookup } from "../support/secrets.mjs";
import { startSession } from "../support/session.mjs";
import { imported, ORIGINAL } from "../support/subject.mjs";
import { keyFile, MAGIC, PASSPHRASE } from "./keys.mjs";

const ours = await imported();
const { EncryptedFilePersistence, FilePersistence, MemoryPersistence, migrate, PersistenceCachePlugin } =
  ours;

/** Signs an account in over a store, and lists all accounts in it. */
const signIn = async (/** @type {any} */ { tools, store, user }) => {
  const { client } = await tools.open(store);
  await tools.signInWithDeviceCode(client, user);
  return tools.usernames(client);
};
const names = async (/** @type {any} */ { tools, store }) =>
  tools.usernames((await tools.open(store, { network: "off" })).client);
const move = async (/** @type {any} */ { ext, tools, from, to, options }) =>
  ext.migrate(await tools.createPersistence(from), await tools.createPersistence(to), options);
/** Creates the persistence with a log, and lists the accounts in it. */
const open = async (/** @type {any} */ { ext, tools, store }) => {
  /** @type {string[]} */
  const log = [];
  const loggerOptions = {
    logLevel: 3,
    loggerCallback: (/** @type {number} */ level, /** @type {string} */ text) => log.push(`${level} ${text}`),
  };
  const persistence = await tools.createPersistence({ ...store, loggerOptions });
  const client = tools.createClient(new ext.PersistenceCachePlugin(persistence), "off");
  return { name: persistence.constructor.name, names: await tools.usernames(client), log };
};

const user = (/** @type {number} */ number) => `user${number}@contoso.example`;

test("ten moves between a plaintext file, an encrypted one, the keyring and the real original keep every account", async (t) => {
  const session = await startSession(t);
  const mine = await startActor(t, session.env);
  const original = await startActor(t, session.env, ORIGINAL);
  const at = (/** @type {string} */ name) => join(session.home, name, "cache.json");
  const keyring = { kind: "LibSecretPersistence", cachePath: at("keyring") };
  const key = { type: "keyFile", path: await keyFile(session.home) };
  // A plaintext and an encrypted file at one path, like fallbacks; and a store of the original itself, of each kind.
  const encrypted = { kind: "EncryptedFilePersistence", cachePath: at("file"), key };
  const plaintext = { kind: "FilePersistence", cachePath: at("file") };
  const originals = { kind: "FilePersistence", cachePath: at("original") };
  const theirs = { kind: "LibSecretPersistence", cachePath: at("theirs"), accountName: "theirs" };
  const way = [
    encrypted,
    keyring,
    originals,
    encrypted,
    plaintext,
    theirs,
    keyring,
    plaintext,
    encrypted,
    originals,
  ];

  /** @type {string[]} */
  const users = [];
  /** @type {object} */
  let here = originals;
  for (const [round, there] of way.entries()) {
    users.push(user(round));
    // The original signs in where it can read, ours in the other stores.
    const who = here === encrypted ? mine : original;
    assert.deepEqual(await who.run(signIn, { store: here, user: user(round) }), users, `round ${round}`);
    const report = await mine.run(move, { from: here, to: there });
    assert.ok(report.entries >= users.length, `round ${round}: ${JSON.stringify(report)}`);
    assert.equal(report.outdated, 0);
    assert.equal(report.resumed, false);
    assert.deepEqual(await mine.run(names, { store: there }), users, `round ${round}`);
    if (there !== encrypted) {
      assert.deepEqual(await original.run(names, { store: there }), users, `round ${round}, the original`);
    }
    here = there;
  }
  const fresh = await startActor(t, session.env);
  for (const account of users) {
    await fresh.run(
      async (/** @type {any} */ { tools, store, account }) => {
        const { client } = await tools.open(store, { network: "off" });
        await tools.silently(client, account);
      },
      { store: here, account },
    );
  }
  assert.doesNotMatch(await readFile(at("file"), "latin1"), /contoso/);
});

describe("content of a weaker store is imported when the better one works", () => {
  test("plaintext that the real original wrote at the marker's path while there was no keyring", async (t) => {
    const session = await startSession(t);
    const without = { ...session.env, DBUS_SESSION_BUS_ADDRESS: "unix:path=/nonexistent/bus" };
    const store = { kind: "PersistenceCreator", cachePath: join(session.home, "cache.json") };
    const original = await startActor(t, without, ORIGINAL);
    await original.run(signIn, { store: { ...store, usePlaintextFileOnLinux: true }, user: user(1) });
    assert.match(await readFile(store.cachePath, "utf8"), /user1/);
    const mine = await startActor(t, session.env);
    const got = await mine.run(open, { store });
    assert.deepEqual([got.name, got.names], ["LibSecretPersistence", [user(1)]]);
    assert.ok(
      got.log.some((/** @type {string} */ line) => line.startsWith("2 ") && line.includes("have moved from")),
      got.log.join("\n"),
    );
    assert.equal(await readFile(store.cachePath, "utf8"), "{}");
    assert.match((await lookup(session, "tokenkeep tests", "cache")) ?? "", /user1/);
    // The original finds it too, and no account is lost.
    const again = await startActor(t, session.env, ORIGINAL);
    assert.deepEqual(await again.run(signIn, { store, user: user(2) }), [user(1), user(2)]);
    assert.deepEqual((await mine.run(open, { store })).names, [user(1), user(2)]);
  });

  for (const [what, key] of /** @type {const} */ ([
    ["a key file", undefined],
    ["a passphrase", { type: "passphrase", passphrase: PASSPHRASE }],
    ["a passphrase that has to be asked for", "ask"],
  ])) {
    test(`an encrypted fallback with ${what}: the keyring ends and starts again, and all accounts stay`, async (t) => {
      const session = await startSession(t);
      const without = { ...session.env, DBUS_SESSION_BUS_ADDRESS: "unix:path=/nonexistent/bus" };
      const own = key ?? { type: "keyFile", path: await keyFile(session.home) };
      const cachePath = join(session.home, "cache.json");
      const visit = async (/** @type {any} */ { ext, tools, own, cachePath, PASSPHRASE, user }) => {
        let asked = 0;
        const ask = async () => {
          asked += 1;
          return PASSPHRASE;
        };
        const key = own === "ask" ? { type: "passphrase", passphrase: ask } : own;
        const fallback = [{ type: "encryptedFile", key }];
        const persistence = await tools.createPersistence({
          kind: "PersistenceCreator",
          cachePath,
          fallback,
        });
        const plugin = new ext.PersistenceCachePlugin(persistence);
        const client = tools.createClient(plugin, new tools.SignInService());
        await tools.signInWithDeviceCode(client, user);
        const name = persistence.constructor.name;
        return { name, asked, names: await tools.usernames(client) };
      };
      const users = [];
      for (let round = 0; round < 4; round += 1) {
        const away = round % 2 === 0;
        const actor = await startActor(t, away ? without : session.env);
        users.push(user(round));
        const props = { own, cachePath, PASSPHRASE, user: user(round) };
        const got = await actor.run(visit, props);
        assert.equal(got.name, away ? "EncryptedFilePersistence" : "LibSecretPersistence");
        assert.equal(got.asked, key === "ask" ? 1 : 0, `round ${round}`);
        if (away) {
          assert.deepEqual((await readFile(cachePath)).subarray(0, 8), MAGIC);
        } else {
          // Without the keyring, only the accounts of that time were visible; now all are merged.
          assert.deepEqual(got.names, users, `round ${round}`);
        }
        await actor.leave();
      }
    });
  }

  test("encrypted content without a configured key stays, and the keyring is not used in its place", async (t) => {
    const session = await startSession(t);
    const cachePath = join(session.home, "cache.json");
    const key = { type: "keyFile", path: await keyFile(session.home) };
    const actor = await startActor(t, session.env);
    await actor.run(signIn, { store: { kind: "EncryptedFilePersistence", cachePath, key }, user: user(1) });
    const before = await readFile(cachePath);
    const error = await rejection(actor.run(open, { store: { kind: "PersistenceCreator", cachePath } }));
    assert.equal(error.errorCode, "CachePersistenceError");
    assert.equal(error.fields.code, "marker_occupied");
    assert.deepEqual(await readFile(cachePath), before);
  });
});

/** Creates a plaintext file with some accounts, and an empty encrypted file. @param {import("node:test").TestContext} t */
async function bench(t) {
  const directory = await scratchDirectory(t);
  const key = { type: "keyFile", path: await keyFile(directory) };
  const from = await FilePersistence.create(join(directory, "old.json"));
  const to = await EncryptedFilePersistence.create(join(directory, "new.bin"), key);
  const add = (/** @type {any} */ store, /** @type {string} */ name) =>
    change(new PersistenceCachePlugin(store), new Memory(), (memory) => memory.signIn(name));
  await add(from, "ada");
  await add(from, "bob");
  return { directory, key, from, to, add };
}

describe("migrate", () => {
  test("a dry run reports the entries and moves nothing", async (t) => {
    const { from, to } = await bench(t);
    const before = await readFile(from.getFilePath());
    const plan = await migrate(from, to, { dryRun: true });
    assert.deepEqual(
      [plan.dryRun, plan.entries, plan.outdated, plan.oldCopy, plan.resumed],
      [true, 4, 0, "overwritten", false],
    );
    assert.deepEqual([plan.from, plan.to], [await from.info(), await to.info()]);
    assert.deepEqual(await readFile(from.getFilePath()), before);
    assert.equal(await to.load(), null);
    const { dryRun, ...report } = await migrate(from, to);
    assert.deepEqual({ ...report, dryRun: true }, plan);
    assert.equal(dryRun, false);
    assert.deepEqual(namesIn(await to.load()), ["ada", "bob"]);
    assert.equal(await from.load(), "{}");
    const again = await migrate(from, to);
    assert.deepEqual([again.entries, again.oldCopy, again.resumed], [0, "nothing", false]);
  });

  test("the entries of both are merged, and running clients see them", async (t) => {
    const { from, to, add } = await bench(t);
    await add(to, "cleo");
    const [left, right] = [new PersistenceCachePlugin(from), new PersistenceCachePlugin(to)];
    const [one, two] = [new Memory(), new Memory()];
    await change(left, one, (memory) => memory.signIn("dan"));
    await change(right, two, (memory) => memory.signIn("eve"));
    await migrate(from, to);
    await change(right, two, (memory) => memory.signOut("eve"));
    assert.deepEqual(two.names(), ["ada", "bob", "cleo", "dan"]);
    await change(left, one, (memory) => memory.signIn("fay"));
    assert.deepEqual(one.names(), ["fay"]);
    assert.equal((await migrate(from, to)).entries, 2);
    assert.deepEqual(namesIn(await to.load()), ["ada", "bob", "cleo", "dan", "fay"]);
  });

  test("two passphrases are requested, each once, and neither under a lock", async (t) => {
    const { directory, from, add } = await bench(t);
    /** @type {string[]} */
    const asked = [];
    const asking = (/** @type {string} */ name, /** @type {string} */ passphrase) =>
      EncryptedFilePersistence.create(join(directory, name), {
        type: "passphrase",
        passphrase: async () => {
          asked.push(name);
          await add(from, `asked-${asked.length}`);
          return passphrase;
        },
      });
    const [one, two] = [await asking("one.bin", "one"), await asking("two.bin", "two")];
    await migrate(from, one);
    assert.deepEqual(asked, ["one.bin"]);
    const third = await asking("one.bin", "one");
    await migrate(third, two);
    assert.deepEqual(asked, ["one.bin", "one.bin", "two.bin"]);
    assert.deepEqual(namesIn(await two.load()), ["ada", "asked-1", "bob"]);
  });

  test("a kill at any moment loses no account, and the next call finishes the move", async (t) => {
    const { directory, from, to, add } = await bench(t);
    const session = await startSession(t, "none");
    /** @type {string[]} */
    const all = ["ada", "bob"];
    for (let round = 0; round < 12; round += 1) {
      const actor = await startActor(t, session.env);
      const props = {
        from: from.getFilePath(),
        to: to.getFilePath(),
        key: { type: "keyFile", path: join(directory, "key") },
      };
      await actor.run(async (/** @type {any} */ { ext, scene, from, to, key }) => {
        scene.from = await ext.FilePersistence.create(from);
        scene.to = await ext.EncryptedFilePersistence.create(to, key);
        await scene.to.verifyPersistence();
      }, props);
      const moving = actor.run(({ ext, scene }) => ext.migrate(scene.from, scene.to)).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, round));
      await actor.kill();
      await moving;
      const [left, right] = [namesIn(await from.load()), namesIn((await to.load()) ?? "")];
      assert.deepEqual([...new Set([...left, ...right])].sort(), [...all].sort(), `round ${round}`);
      await migrate(from, to);
      assert.deepEqual(namesIn(await to.load()), [...all].sort(), `round ${round}`);
      all.push(`user${round}`);
      await add(from, `user${round}`);
    }
  });

  test("content that cannot be moved is an error, and both stores stay the same", async (t) => {
    const { directory, key, from, to } = await bench(t);
    const before = await readFile(from.getFilePath());
    class Own extends /** @type {new (path: string) => any} */ (FilePersistence) {}
    const opaque = await FilePersistence.create(join(directory, "opaque"));
    await opaque.save("neither");
    const damaged = await EncryptedFilePersistence.create(join(directory, "damaged.bin"), key);
    await damaged.save("{}");
    await truncate(damaged.getFilePath(), 80);
    /** @type {[string, any, any][]} */
    const refusals = [
      ["ERR_INVALID_ARG_VALUE", from, from],
      ["ERR_INVALID_ARG_TYPE", from, new MemoryPersistence()],
      ["ERR_INVALID_ARG_TYPE", new MemoryPersistence(), to],
      ["ERR_INVALID_ARG_TYPE", new Own(from.getFilePath()), to],
      ["ERR_INVALID_ARG_TYPE", undefined, to],
      ["ERR_INVALID_ARG_TYPE", from, "file"],
      ["ConflictError", from, opaque],
      ["TruncatedError", from, damaged],
      ["TruncatedError", damaged, to],
    ];
    for (const [errorCode, one, other] of refusals) {
      const error = await rejection(migrate(one, other));
      assert.ok(error instanceof ours.PersistenceError, error);
      assert.equal(error.errorCode, errorCode, error.message);
    }
    assert.deepEqual(await readFile(from.getFilePath()), before);
    assert.equal(await opaque.load(), "neither");
  });

  test("a locked or absent keyring is a typed error, and the file stays the same", async (t) => {
    for (const [kind, code] of /** @type {const} */ ([
      ["locked", "store_locked"],
      ["none", "store_unavailable"],
    ])) {
      const session = await startSession(t, kind);
      const actor = await startActor(t, session.env);
      const from = { kind: "FilePersistence", cachePath: join(session.home, "old.json") };
      const to = { kind: "LibSecretPersistence", cachePath: join(session.home, "new.json") };
      await actor.run(signIn, { store: from, user: user(1) });
      for (const dryRun of [true, false]) {
        const error = await rejection(actor.run(move, { from, to, options: { dryRun } }));
        assert.deepEqual([error.errorCode, error.fields.code], ["GnomeKeyringError", code]);
      }
      assert.deepEqual(await actor.run(names, { store: from }), [user(1)]);
    }
  });
});

test("a migration whose signal is aborted rejects with the reason; before it has begun, it does nothing", async (t) => {
  const folder = await scratchDirectory(t);
  const [from, to] = await Promise.all(
    ["from.json", "to.json"].map((name) => FilePersistence.create(join(folder, name))),
  );
  await change(new PersistenceCachePlugin(from), new Memory(), (m) => m.signIn("ada"));
  const reason = new Error("no longer wanted");
  await assert.rejects(migrate(from, to, { signal: AbortSignal.abort(reason) }), reason);
  assert.deepEqual(namesIn(await readFile(from.getFilePath(), "utf8")), ["ada"]);

  // Another process has the lock of the new place, longer than the migration waits.
  await writeFile(`${to.getFilePath()}.lockfile`, String(process.ppid));
  const controller = new AbortController();
  const moving = migrate(from, to, { signal: controller.signal, timeout: 500 });
  controller.abort(reason);
  await assert.rejects(moving, reason);
});
