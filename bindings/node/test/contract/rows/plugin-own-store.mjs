// @ts-check
import assert from "node:assert/strict";
import { join } from "node:path";
import * as msal from "@azure/msal-node";
import { contextOf, entry, tokenCache, write } from "../plugin-bench.mjs";
import { keep } from "../row.mjs";

/**
 * A persistence of the program itself: the interface, with no code of either package.
 *
 * @param {string} path
 * @param {string} content
 */
function ownStore(path, content) {
  const store = {
    /** @type {string[]} */
    calls: [],
    content,
    reload: true,
    async save(/** @type {string} */ text) {
      store.calls.push("save");
      store.content = text;
    },
    async load() {
      store.calls.push("load");
      return store.content;
    },
    async delete() {
      store.calls.push("delete");
      return true;
    },
    async reloadNecessary() {
      store.calls.push("reloadNecessary");
      return store.reload;
    },
    getFilePath: () => path,
    getLogger: () => new msal.Logger({}),
    verifyPersistence: async () => true,
    createForPersistenceValidation: async () => store,
  };
  return store;
}

keep(
  "own persistence",
  "a program's own IPersistence is asked, loaded and saved",
  async (_, { ext, dir }) => {
    const store = ownStore(join(dir, "cache.json"), entry("olga"));
    const plugin = new ext.PersistenceCachePlugin(store);
    const cache = tokenCache();
    await plugin.beforeCacheAccess(contextOf(cache, false));
    assert.ok(store.calls.includes("reloadNecessary"));
    assert.ok(store.calls.includes("load"));
    assert.deepEqual(cache.seen, [entry("olga")]);
    await plugin.afterCacheAccess(contextOf(cache, false));

    await write(plugin, entry("bob"), cache);
    assert.ok(store.calls.includes("save"));
    assert.match(store.content, /bob/);
  },
);

keep("own persistence", "its answer to reloadNecessary decides about the load", async (_, { ext, dir }) => {
  const store = ownStore(join(dir, "cache.json"), entry("olga"));
  const plugin = new ext.PersistenceCachePlugin(store);
  const cache = tokenCache();
  await plugin.beforeCacheAccess(contextOf(cache, false));
  store.calls.length = 0;
  store.reload = false;
  await plugin.beforeCacheAccess(contextOf(cache, false));
  assert.ok(!store.calls.includes("load"));
  store.reload = true;
  store.content = entry("bob");
  await plugin.beforeCacheAccess(contextOf(cache, false));
  assert.equal(cache.seen.at(-1), entry("bob"));
});

keep("own persistence", "content that is no MSAL cache is handed on as it is", async (_, { ext, dir }) => {
  const store = ownStore(join(dir, "cache.json"), "not JSON at all");
  const plugin = new ext.PersistenceCachePlugin(store);
  const cache = tokenCache();
  await write(plugin, "changed, still not JSON", cache);
  assert.ok(cache.seen.includes("not JSON at all"));
  assert.equal(store.content, "changed, still not JSON");
});

keep("own persistence", "a load that gives null is an empty cache", async (_, { ext, dir }) => {
  const store = ownStore(join(dir, "cache.json"), /** @type {any} */ (null));
  const plugin = new ext.PersistenceCachePlugin(store);
  await write(plugin, entry("olga"));
  assert.match(store.content, /olga/);
});

keep("own persistence", "errors of its methods reach the caller as they are", async (_, { ext, dir }) => {
  const store = ownStore(join(dir, "cache.json"), entry("olga"));
  const plugin = new ext.PersistenceCachePlugin(store);
  const thrown = new TypeError("mine");
  store.load = async () => {
    throw thrown;
  };
  await assert.rejects(plugin.beforeCacheAccess(contextOf(tokenCache(), false)), (error) => error === thrown);
});

keep("own persistence", "the methods of a subclass are called", async (_, { ext, dir }) => {
  /** @type {string[]} */
  const calls = [];
  /** @type {new (path: string) => any} */
  const FilePersistence = ext.FilePersistence;
  class Shouting extends FilePersistence {
    async save(/** @type {string} */ content) {
      calls.push("save");
      return super.save(content);
    }
    async load() {
      calls.push("load");
      return super.load();
    }
  }
  const plugin = new ext.PersistenceCachePlugin(new Shouting(join(dir, "cache.json")));
  const first = contextOf(tokenCache(entry("olga")), true);
  await plugin.afterCacheAccess(first);
  assert.ok(calls.includes("save"));
  const second = contextOf(tokenCache(), false);
  plugin.lastSync = 0;
  await plugin.beforeCacheAccess(second);
  assert.ok(calls.includes("load"));
  assert.match(second.tokenCache.seen[0] ?? "", /olga/);
});

keep("own persistence", "a method replaced on the instance is called", async (t, { ext, dir }) => {
  const persistence = await ext.FilePersistence.create(join(dir, "cache.json"));
  const load = t.mock.method(persistence, "load", async () => entry("olga"));
  const save = t.mock.method(persistence, "save", async () => {});
  const plugin = new ext.PersistenceCachePlugin(persistence);
  const cache = tokenCache();
  await write(plugin, entry("bob"), cache);
  assert.ok(load.mock.callCount() >= 1);
  assert.equal(save.mock.callCount(), 1);
  assert.ok(cache.seen.includes(entry("olga")));
});

keep(
  "own persistence",
  "a persistence swapped in the plugin's field is the one used",
  async (_, { ext, dir }) => {
    const plugin = new ext.PersistenceCachePlugin(await ext.FilePersistence.create(join(dir, "cache.json")));
    const store = ownStore(join(dir, "cache.json"), entry("olga"));
    plugin.persistence = store;
    const cache = tokenCache();
    await plugin.beforeCacheAccess(contextOf(cache, false));
    assert.deepEqual(cache.seen, [entry("olga")]);
  },
);
