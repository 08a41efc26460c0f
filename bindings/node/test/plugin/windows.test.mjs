// @ts-check
/** The rules of a transaction: the content that each client gets, and the result of each change. */
import assert from "node:assert/strict";
import { chmod, readdir, readFile, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { timed } from "../support/clock.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";
import { change, contextOf, list, Memory, namesIn, overwriteCache, tokenKey } from "./memory.mjs";

const { FilePersistence, PersistenceCachePlugin, PersistenceError } = await imported();

/** @param {import("node:test").TestContext} t @param {any} [options] */
async function bench(t, options) {
  const directory = await scratchDirectory(t);
  const path = join(directory, "cache.json");
  const persistence = await FilePersistence.create(path);
  /** Creates a plugin with its own persistence, like another program. */
  const another = () =>
    new PersistenceCachePlugin(new FilePersistence(path), { retryNumber: 20, retryDelay: 50 }, options);
  const plugin = new PersistenceCachePlugin(persistence, undefined, options);
  const stored = async () => namesIn(await readFile(path, "utf8"));
  return { directory, path, persistence, plugin, another, stored };
}

const paused = () => new Promise((resolve) => setTimeout(resolve, 30));

describe("the content of a client", () => {
  test("an unchanged store is not deserialized again", async (t) => {
    const { plugin } = await bench(t);
    const memory = new Memory();
    await change(plugin, memory, (m) => m.signIn("ada"));
    await list(plugin, memory);
    const before = memory.deserialized;
    await list(plugin, memory);
    await list(plugin, memory);
    assert.equal(memory.deserialized, before);
  });

  test("clearing the memory around a read, as acquireTokenSilent does, removes nothing from the store", async (t) => {
    const { plugin, stored } = await bench(t);
    const memory = new Memory();
    await change(plugin, memory, (m) => m.signIn("ada"));
    await overwriteCache(plugin, memory);
    await overwriteCache(plugin, memory);
    assert.deepEqual(memory.names(), ["ada"]);
    await change(plugin, memory, (m) => m.signIn("bob"));
    await overwriteCache(plugin, memory);
    assert.deepEqual(memory.names(), ["ada", "bob"]);
    assert.deepEqual(await stored(), ["ada", "bob"]);
  });

  test("every client of a plugin sees the changes of the others, sign-outs too", async (t) => {
    const { plugin, stored } = await bench(t);
    const [one, two] = [new Memory(), new Memory()];
    await change(plugin, one, (m) => m.signIn("ada"));
    await change(plugin, two, (m) => m.signIn("bob"));
    assert.deepEqual(await list(plugin, one), ["ada", "bob"]);
    await change(plugin, two, (m) => m.signOut("ada"));
    assert.deepEqual(await list(plugin, one), ["bob"]);
    await change(plugin, one, (m) => m.signIn("cleo"));
    assert.deepEqual(await stored(), ["bob", "cleo"]);
  });

  test("a sign-out by another plugin is not undone by a client that still has the account", async (t) => {
    const { plugin, another, stored } = await bench(t);
    const [one, two] = [new Memory(), new Memory()];
    const second = another();
    await change(plugin, one, (m) => m.signIn("ada"));
    await change(second, two, (m) => m.signOut("ada"));
    await change(plugin, one, (m) => m.signIn("bob"));
    assert.deepEqual(await stored(), ["bob"]);
    assert.deepEqual(one.names(), ["bob"]);
  });

  test("a store that was emptied or removed empties its clients", async (t) => {
    const { plugin, path, stored } = await bench(t);
    const memory = new Memory();
    for (const empty of [() => writeFile(path, ""), () => unlink(path)]) {
      await change(plugin, memory, (m) => m.signIn("ada"));
      await paused();
      await empty();
      await overwriteCache(plugin, memory);
      assert.deepEqual(memory.names(), []);
    }
    await change(plugin, memory, (m) => m.signIn("bob"));
    assert.deepEqual(await stored(), ["bob"]);
  });

  test("entries that only the client's memory has stay there", async (t) => {
    const { plugin, another } = await bench(t);
    const memory = new Memory();
    await list(plugin, memory);
    memory.signIn("local");
    await change(another(), new Memory(), (m) => m.signIn("ada"));
    assert.deepEqual(await list(plugin, memory), ["ada", "local"]);
  });

  test("lastSync = 0 and currentCache = null force a reload", async (t) => {
    const { plugin } = await bench(t);
    const memory = new Memory();
    await change(plugin, memory, (m) => m.signIn("ada"));
    await list(plugin, memory);
    for (const force of [() => (plugin.lastSync = 0), () => (plugin.currentCache = null)]) {
      const before = memory.deserialized;
      force();
      await list(plugin, memory);
      assert.equal(memory.deserialized, before + 1);
      await list(plugin, memory);
      assert.equal(memory.deserialized, before + 1);
      assert.ok(plugin.lastSync > 0);
      assert.deepEqual(namesIn(plugin.currentCache), ["ada"]);
    }
  });

  test("a replaced persistence is used from the next access on", async (t) => {
    const { plugin, directory } = await bench(t);
    const memory = new Memory();
    await change(plugin, memory, (m) => m.signIn("ada"));
    const other = await FilePersistence.create(join(directory, "other.json"));
    plugin.persistence = other;
    await list(plugin, memory);
    assert.deepEqual(memory.names(), []);
    await change(plugin, memory, (m) => m.signIn("bob"));
    assert.deepEqual(namesIn(await other.load()), ["bob"]);
  });

  test("printing a plugin shows no content", async (t) => {
    const { plugin } = await bench(t);
    await change(plugin, new Memory(), (m) => m.signIn("ada"));
    const { inspect } = await import("node:util");
    assert.doesNotMatch(inspect(plugin, { depth: 9, showHidden: false }), /secret of ada/);
    assert.doesNotMatch(JSON.stringify(plugin), /secret of ada/);
  });
});

describe("a window between before and after", () => {
  test("a read of the same client in the window changes nothing", async (t) => {
    const { plugin, stored } = await bench(t);
    const memory = new Memory();
    await change(plugin, memory, (m) => m.signIn("ada"));
    const context = contextOf(memory, true);
    await plugin.beforeCacheAccess(context);
    memory.signIn("bob");
    assert.deepEqual(await list(plugin, memory), ["ada", "bob"]);
    await plugin.afterCacheAccess(context);
    assert.deepEqual(await stored(), ["ada", "bob"]);
  });

  test("entries missing because a read cleared the memory are not taken for sign-outs", async (t) => {
    const { plugin, stored } = await bench(t);
    const memory = new Memory();
    await change(plugin, memory, (m) => m.signIn("ada"));
    const context = contextOf(memory, true);
    await plugin.beforeCacheAccess(context);
    memory.signIn("bob");
    const read = contextOf(memory, false);
    const kept = memory.entries;
    memory.entries = {};
    await plugin.beforeCacheAccess(read);
    memory.entries = { [tokenKey("bob")]: /** @type {any} */ (kept[tokenKey("bob")]) };
    await plugin.afterCacheAccess(context);
    assert.deepEqual(await stored(), ["ada"]);
  });

  test("the next write of the same client waits for the window's end", async (t) => {
    const { plugin, stored } = await bench(t);
    const memory = new Memory();
    const context = contextOf(memory, true);
    await plugin.beforeCacheAccess(context);
    const next = change(plugin, memory, (m) => m.signIn("bob"));
    await paused();
    memory.signIn("ada");
    await plugin.afterCacheAccess(context);
    await next;
    assert.deepEqual(await stored(), ["ada", "bob"]);
  });

  test("a client sees its own write at once", async (t) => {
    const { plugin } = await bench(t);
    const memory = new Memory();
    const context = contextOf(memory, true);
    await plugin.beforeCacheAccess(context);
    memory.signIn("ada");
    const committed = plugin.afterCacheAccess(context);
    await overwriteCache(plugin, memory);
    assert.deepEqual(memory.names(), ["ada"]);
    await committed;
  });

  test("an after without a change writes nothing and releases the lock", async (t) => {
    const { plugin, path } = await bench(t);
    const memory = new Memory();
    const context = contextOf(memory, true);
    await plugin.beforeCacheAccess(context);
    memory.signIn("ada");
    context.cacheHasChanged = false;
    await plugin.afterCacheAccess(context);
    assert.equal(await readFile(path, "utf8"), "");
    await change(plugin, new Memory(), (m) => m.signIn("bob"));
  });

  test("an after without a before adds entries and removes none", async (t) => {
    const { plugin, stored } = await bench(t);
    await change(plugin, new Memory(), (m) => m.signIn("ada"));
    const memory = new Memory();
    memory.signIn("bob");
    await plugin.afterCacheAccess(contextOf(memory, true));
    assert.deepEqual(await stored(), ["ada", "bob"]);
  });

  test("a second before of the same context releases the first lock", async (t) => {
    const { plugin, stored } = await bench(t);
    const memory = new Memory();
    const context = contextOf(memory, true);
    await plugin.beforeCacheAccess(context);
    await plugin.beforeCacheAccess(context);
    memory.signIn("ada");
    await plugin.afterCacheAccess(context);
    assert.deepEqual(await stored(), ["ada"]);
  });

  test("an abandoned window is ended after ten seconds, and a late after merges", async (t) => {
    const { plugin, path, stored } = await bench(t);
    const [late, other] = [new Memory(), new Memory()];
    await change(plugin, late, (m) => {
      m.signIn("ada");
      m.signIn("bob");
    });
    const context = contextOf(late, true);
    await plugin.beforeCacheAccess(context);
    late.signIn("cleo");
    late.signOut("ada");
    const patient = new PersistenceCachePlugin(new FilePersistence(path));
    const { naps, clock } = await timed(() =>
      change(patient, other, (m) => {
        m.signIn("dora");
        m.signOut("bob");
      }),
    );
    assert.ok(clock > 9_000 && naps < 12_000, `waited ${clock} ms, ${naps} naps`);
    await plugin.afterCacheAccess(context);
    assert.deepEqual(await stored(), ["cleo", "dora"]);
    assert.deepEqual(await list(patient, other), ["cleo", "dora"]);
    assert.deepEqual(await list(plugin, late), ["cleo", "dora"]);
  });

  test("a late change to an account that was signed out is dropped, and rejects", async (t) => {
    const { plugin, path, stored } = await bench(t);
    const [late, other] = [new Memory(), new Memory()];
    await change(plugin, late, (m) => m.signIn("ada"));
    const context = contextOf(late, true);
    await plugin.beforeCacheAccess(context);
    late.signIn("bob");
    /** @type {any} */ (late.entries[tokenKey("ada")]).secret = "refreshed";
    await change(new PersistenceCachePlugin(new FilePersistence(path)), other, (m) => m.signOut("ada"));
    await assert.rejects(plugin.afterCacheAccess(context), (/** @type {any} */ error) => {
      assert.ok(error instanceof PersistenceError);
      assert.equal(error.code, "conflict");
      return true;
    });
    assert.deepEqual(await stored(), ["bob"]);
    assert.deepEqual(await list(plugin, late), ["bob"]);
  });
});

describe("failures", () => {
  test("after a failed before, after writes nothing and rejects with nothing", async (t) => {
    const { plugin, another, path, stored } = await bench(t);
    const memory = new Memory();
    await change(plugin, memory, (m) => m.signIn("ada"));
    const blocked = another();
    const context = contextOf(memory, true);
    await plugin.beforeCacheAccess(context);
    const newcomer = new Memory();
    const failing = contextOf(newcomer, true);
    await assert.rejects(blocked.beforeCacheAccess(failing), { errorCode: "CrossPlatformLockError" });
    newcomer.signIn("mallory");
    await blocked.afterCacheAccess(failing);
    await plugin.afterCacheAccess(context);
    assert.deepEqual(await stored(), ["ada"]);
    // The client's content was never stored nor loaded, so it is not a change.
    await change(new PersistenceCachePlugin(new FilePersistence(path)), newcomer, (m) => m.signIn("bob"));
    assert.deepEqual(await stored(), ["ada", "bob"]);
  });

  test("after a failed commit, the next access reads the store again", async (t) => {
    const { plugin, directory, path, stored } = await bench(t);
    const memory = new Memory();
    await change(plugin, memory, (m) => m.signIn("ada"));
    const context = contextOf(memory, true);
    await plugin.beforeCacheAccess(context);
    memory.signIn("bob");
    // A directory at the file's path makes every write fail, also for root.
    const { rename, mkdir, rmdir } = await import("node:fs/promises");
    await rename(path, join(directory, "aside"));
    await mkdir(path);
    await assert.rejects(plugin.afterCacheAccess(context), PersistenceError);
    await rmdir(path);
    await rename(join(directory, "aside"), path);
    assert.deepEqual(await list(plugin, memory), ["ada"]);
    await change(plugin, memory, (m) => m.signIn("cleo"));
    assert.deepEqual(await stored(), ["ada", "cleo"]);
  });

  test("a client that cannot serialize releases the lock and gets its own error", async (t) => {
    const { plugin, stored } = await bench(t);
    const memory = new Memory();
    const context = contextOf(memory, true);
    await plugin.beforeCacheAccess(context);
    memory.serialize = () => {
      throw new RangeError("of the client's own");
    };
    await assert.rejects(plugin.afterCacheAccess(context), RangeError);
    await change(plugin, new Memory(), (m) => m.signIn("ada"));
    assert.deepEqual(await stored(), ["ada"]);
  });

  test("unusable content: a read returns an empty cache and does not change it", async (t) => {
    /** @type {any[]} */
    const events = [];
    const { plugin, path, directory } = await bench(t, { onEvent: (/** @type {any} */ e) => events.push(e) });
    const memory = new Memory();
    await change(plugin, memory, (m) => m.signIn("ada"));
    await paused();
    const damaged = (await readFile(path, "utf8")).replace('"Account":{', '"Account":{"x":nonsense,');
    await writeFile(path, damaged);
    await paused();
    assert.deepEqual(await list(plugin, memory), []);
    assert.equal(await readFile(path, "utf8"), damaged);
    assert.deepEqual((await readdir(directory)).sort(), ["cache.json", "cache.json.tk-lock"]);
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ["warning"],
    );
    assert.doesNotMatch(JSON.stringify(events), /secret|nonsense/);
  });

  test("unusable content: a write keeps a copy, reports it, and continues", async (t) => {
    /** @type {any[]} */
    const events = [];
    const { plugin, path, stored } = await bench(t, { onEvent: (/** @type {any} */ e) => events.push(e) });
    const memory = new Memory();
    await change(plugin, memory, (m) => m.signIn("ada"));
    await paused();
    const damaged = (await readFile(path, "utf8")).slice(0, -10);
    await writeFile(path, damaged);
    await paused();
    await change(plugin, memory, (m) => m.signIn("bob"));
    assert.deepEqual(await stored(), ["bob"]);
    assert.deepEqual(memory.names(), ["bob"]);
    const [event] = events.filter(({ kind }) => kind === "setAside");
    assert.equal(event.path, path);
    assert.equal(await readFile(event.copy, "utf8"), damaged);
    // Windows has access lists instead of modes.
    if (process.platform !== "win32") {
      assert.equal((await stat(event.copy)).mode & 0o777, 0o600);
    }
    assert.doesNotMatch(JSON.stringify(events), /secret of/);
  });

  test("no error and no log line contains content of the cache", async (t) => {
    /** @type {string[]} */
    const lines = [];
    const directory = await scratchDirectory(t);
    const path = join(directory, "cache.json");
    const loggerCallback = (/** @type {number} */ _level, /** @type {string} */ text) => lines.push(text);
    const persistence = await FilePersistence.create(path, { loggerCallback, logLevel: 4 });
    const plugin = new PersistenceCachePlugin(persistence, { retryNumber: 1, retryDelay: 50 });
    const memory = new Memory();
    await change(plugin, memory, (m) => m.signIn("ada"));
    await paused();
    await writeFile(path, `${await readFile(path, "utf8")} trailing secret of ada`);
    await paused();
    await list(plugin, memory);
    await change(plugin, memory, (m) => m.signIn("ada"));
    await chmod(directory, 0o700);
    assert.ok(lines.length > 0);
    assert.doesNotMatch(lines.join("\n"), /secret of ada/);
  });
});
