// @ts-check
/** The cache in memory: an ordinary persistence for plugins and clients that writes nothing to a disk. */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";
import { rejection } from "../contract/row.mjs";
import { change, contextOf, list, Memory, namesIn } from "../plugin/memory.mjs";
import { startActor } from "../support/actor.mjs";
import { timed } from "../support/clock.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { startSession } from "../support/session.mjs";
import { imported } from "../support/subject.mjs";

const { MemoryPersistence, PersistenceCachePlugin, PersistenceError } = await imported();

test("saved content is loaded, and absent after a delete", async () => {
  const persistence = await MemoryPersistence.create();
  assert.equal(await persistence.load(), null);
  assert.equal(await persistence.delete(), false);
  await persistence.save("{}");
  assert.equal(await persistence.load(), "{}");
  await persistence.save(Buffer.from("bytes"));
  assert.equal(await persistence.load(), "bytes");
  const noText = await rejection(persistence.save(Buffer.from([0x61, 0xff])));
  assert.equal(noText.errorCode, "ERR_INVALID_ARG_TYPE");
  assert.equal(await persistence.load(), "bytes", "a byte is not replaced by others");
  assert.equal(await persistence.delete(), true);
  assert.equal(await persistence.load(), null);
  assert.equal((await rejection(persistence.save(5))).errorCode, "ERR_INVALID_ARG_TYPE");
  assert.equal(await persistence.verifyPersistence(), true);
  const probe = await persistence.createForPersistenceValidation();
  assert.ok(probe instanceof MemoryPersistence && probe !== persistence);
});

test("info names the backend memory and its protection", async () => {
  assert.deepEqual(await new MemoryPersistence().info(), {
    backend: "memory",
    protection: "memory",
    survivesReboot: false,
    location: `process ${process.pid}`,
    crashSafe: false,
  });
});

test("printing it shows no content", async () => {
  const persistence = new MemoryPersistence();
  await persistence.save("secret of ada");
  const plugin = new PersistenceCachePlugin(persistence);
  await list(plugin, new Memory());
  for (const one of [persistence, plugin]) {
    assert.doesNotMatch(inspect(one, { depth: 20 }) + JSON.stringify(one), /secret of ada/);
  }
});

test("real msal-node signs in over it, several clients share it, and the directory stays empty", async (t) => {
  const session = await startSession(t, "none");
  const actor = await startActor(t, session.env);
  const empty = join(session.home, "run");
  const seen = await actor.run(
    async (/** @type {any} */ { ext, tools, empty }) => {
      process.chdir(empty);
      const persistence = await ext.MemoryPersistence.create();
      const service = new tools.SignInService();
      const clients = [0, 1, 2].map(() =>
        tools.createClient(new ext.PersistenceCachePlugin(persistence), service),
      );
      await tools.signInWithDeviceCode(clients[0], "ada@contoso.example");
      await tools.signInWithDeviceCode(clients[1], "bob@contoso.example");
      const account = await tools.accountNamed(clients[2], "ada@contoso.example");
      await clients[2].getTokenCache().removeAccount(account);
      await tools.signInWithRefreshToken(clients[0], "cyd@contoso.example");
      const offline = tools.createClient(new ext.PersistenceCachePlugin(persistence), "off");
      await tools.silently(offline, "bob@contoso.example");
      return Promise.all([...clients, offline].map((client) => tools.usernames(client)));
    },
    { empty },
  );
  assert.deepEqual(seen, Array(4).fill(["bob@contoso.example", "cyd@contoso.example"]));
  assert.deepEqual(await readdir(empty), []);
  assert.deepEqual((await readdir(session.home)).sort(), ["cache", "config", "data", "run"]);
});

test("a hundred changes at once over ten plugins are all stored, and each is visible at once", async () => {
  const persistence = new MemoryPersistence();
  const plugins = Array.from({ length: 10 }, () => new PersistenceCachePlugin(persistence));
  const names = Array.from({ length: 100 }, (_, index) => `user${String(index).padStart(3, "0")}`);
  await Promise.all(names.map((name, at) => change(plugins[at % 10], new Memory(), (m) => m.signIn(name))));
  const loaded = namesIn(await persistence.load());
  assert.deepEqual(loaded, names);
  const [one, two] = [new Memory(), new Memory()];
  for (let round = 0; round < 50; round += 1) {
    await change(plugins[round % 2], one, (m) => m.signIn("ada"));
    assert.ok((await list(plugins[2], two)).includes("ada"), `round ${round}`);
    await change(plugins[(round + 1) % 2], one, (m) => m.signOut("ada"));
    assert.ok(!(await list(plugins[2], two)).includes("ada"), `round ${round}`);
  }
});

test("a change is noticed even if the clock stops or is set back", async (t) => {
  const persistence = new MemoryPersistence();
  const plugin = new PersistenceCachePlugin(persistence);
  const [memory, other] = [new Memory(), new Memory()];
  let now = Date.now();
  t.mock.method(Date, "now", () => now);
  for (const [name, step] of /** @type {const} */ ([
    ["ada", 0],
    ["bob", 0],
    ["cleo", -60_000],
    ["dan", 0],
  ])) {
    now += step;
    other.signIn(name);
    await persistence.save(other.serialize());
    assert.deepEqual(await list(plugin, memory), other.names(), name);
  }
});

test("a direct save waits for a plugin's window; the wait has a limit with a typed error", async () => {
  const persistence = new MemoryPersistence();
  const plugin = new PersistenceCachePlugin(persistence);
  const memory = new Memory();
  const context = contextOf(memory, true);
  await plugin.beforeCacheAccess(context);
  const impatient = new PersistenceCachePlugin(persistence, { retryNumber: 1, retryDelay: 50 });
  const error = await rejection(change(impatient, new Memory(), (m) => m.signIn("late")));
  assert.ok(error instanceof PersistenceError);
  assert.equal(error.errorCode, "CrossPlatformLockError");
  assert.match(error.errorMessage, /^Not able to acquire lock\. Exceeded amount of retries set in options/);
  let saved = false;
  const saving = persistence.save("{}").then(() => {
    saved = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(saved, false);
  memory.signIn("ada");
  await plugin.afterCacheAccess(context);
  await saving;
  assert.equal(await persistence.load(), "{}");
});

test("an abandoned window is ended", async () => {
  const persistence = new MemoryPersistence();
  const plugin = new PersistenceCachePlugin(persistence);
  const context = contextOf(new Memory(), true);
  await plugin.beforeCacheAccess(context);
  const { naps, clock } = await timed(() =>
    change(new PersistenceCachePlugin(persistence), new Memory(), (m) => m.signIn("ada")),
  );
  assert.ok(clock > 9_000 && naps < 30_000, `${clock} ms, ${naps} naps`);
});

test("a subclass and a replaced method are called", async (t) => {
  const calls = [];
  class Loud extends /** @type {new () => any} */ (MemoryPersistence) {
    async save(/** @type {string} */ contents) {
      calls.push("save");
      await super.save(contents);
    }
  }
  const plugin = new PersistenceCachePlugin(new Loud());
  await change(plugin, new Memory(), (m) => m.signIn("ada"));
  const persistence = new MemoryPersistence();
  const save = t.mock.method(persistence, "save");
  await change(new PersistenceCachePlugin(persistence), new Memory(), (m) => m.signIn("ada"));
  assert.deepEqual([calls.length, save.mock.callCount()], [1, 1]);
  assert.deepEqual((await readdir(await scratchDirectory(t))).length, 0);
});

test("who watches is told at once, and no directory is watched", async (t) => {
  const alive = setInterval(() => {}, 1_000);
  t.after(() => clearInterval(alive));
  const persistence = await MemoryPersistence.create();
  const [mine, theirs] = [new PersistenceCachePlugin(persistence), new PersistenceCachePlugin(persistence)];
  // No look without a sign: only the memory's own can be what is heard.
  const watcher = await mine.watch({ coalesce: 5, checkEvery: 2 ** 30 });
  await change(theirs, new Memory(), (m) => m.signIn("ada"));
  for await (const { added } of watcher) {
    assert.equal(added[0].username, "ada");
    break;
  }
  assert.equal(persistence.own.listeners.size, 0, "the loop ended the watching");
});
