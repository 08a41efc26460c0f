// @ts-check
import assert from "node:assert/strict";
import { readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { contextOf, entry, lockfileExists, MSAL_EMPTY, tokenCache, write } from "../plugin-bench.mjs";
import { change, improve, keep, rejection } from "../row.mjs";

/** A plugin over a file. @param {import("../row.mjs").Bench} bench */
async function pluginOverFile({ ext, dir }, lock = { retryNumber: 20, retryDelay: 50 }) {
  const path = join(dir, "cache.json");
  const persistence = await ext.FilePersistence.create(path);
  return { path, persistence, plugin: new ext.PersistenceCachePlugin(persistence, lock) };
}

keep("plugin fields", "begin as the original's do", async (_, bench) => {
  const { plugin, persistence, path } = await pluginOverFile(bench);
  assert.equal(plugin.persistence, persistence);
  assert.equal(plugin.lastSync, 0);
  assert.equal(plugin.currentCache, null);
  assert.equal(plugin.lockFilePath, `${path}.lockfile`);
});

keep("plugin fields", "can be written", async (_, bench) => {
  const { plugin, persistence } = await pluginOverFile(bench);
  const values = { persistence, lastSync: 5, currentCache: "{}", lockFilePath: "/elsewhere.lockfile" };
  Object.assign(plugin, values);
  for (const [name, value] of Object.entries(values)) {
    assert.equal(plugin[name], value, name);
  }
});

keep("plugin fields", "currentCache and lastSync tell of the last load", async (_, bench) => {
  const { plugin, path } = await pluginOverFile(bench);
  const content = entry("olga");
  await writeFile(path, content);
  const start = Date.now();
  await plugin.beforeCacheAccess(contextOf(tokenCache(), false));
  assert.equal(plugin.currentCache, content);
  assert.ok(plugin.lastSync >= start && plugin.lastSync <= Date.now() + 2);
});

for (const [field, value] of /** @type {const} */ ([
  ["lastSync", 0],
  ["currentCache", null],
])) {
  keep("plugin fields", `setting ${field} to ${value} forces a reload`, async (t, bench) => {
    const { plugin, path } = await pluginOverFile(bench);
    await writeFile(path, entry("olga"));
    const cache = tokenCache();
    await plugin.beforeCacheAccess(contextOf(cache, false));
    // Old enough that every stamp is trusted, so that only the field can cause a load.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const load = t.mock.method(plugin.persistence, "load");
    plugin[field] = value;
    await plugin.beforeCacheAccess(contextOf(cache, false));
    assert.equal(load.mock.callCount(), 1);
    assert.equal(plugin.currentCache, entry("olga"));
  });
}

/** Returns lastSync before and after an own write. @param {import("../row.mjs").Bench} bench */
async function ownWrite(bench) {
  const { plugin } = await pluginOverFile(bench);
  const cache = tokenCache();
  const context = contextOf(cache, true);
  await plugin.beforeCacheAccess(context);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const before = plugin.lastSync;
  cache.content = entry("olga");
  await plugin.afterCacheAccess(context);
  return { before, after: plugin.lastSync };
}

improve("plugin fields", "lastSync moves on after a save of its own, so that nothing is read back", {
  async original(_, bench) {
    const { before, after } = await ownWrite(bench);
    assert.equal(after, before);
  },
  async ours(_, bench) {
    const { before, after } = await ownWrite(bench);
    assert.ok(after > before);
  },
});

/** Returns the plugin as a log line shows it. @param {import("../row.mjs").Bench} bench */
async function printed(bench) {
  const { plugin, path } = await pluginOverFile(bench);
  await writeFile(path, entry("the-secret"));
  await plugin.beforeCacheAccess(contextOf(tokenCache(), false));
  return (
    inspect(plugin, { depth: 9 }) + JSON.stringify({ ...plugin, persistence: undefined, logger: undefined })
  );
}

improve("plugin fields", "printing a plugin shows no token", {
  original: async (_, bench) => assert.match(await printed(bench), /the-secret/),
  ours: async (_, bench) => assert.doesNotMatch(await printed(bench), /the-secret/),
});

improve("first before, file absent", "is an empty cache", {
  async original(_, bench) {
    const { plugin, path } = await pluginOverFile(bench);
    await unlink(path);
    const error = await rejection(plugin.beforeCacheAccess(contextOf(tokenCache(), false)));
    assert.equal(error.errorCode, "ENOENT");
  },
  async ours(_, bench) {
    const { plugin, path } = await pluginOverFile(bench);
    await unlink(path);
    const cache = tokenCache();
    await plugin.beforeCacheAccess(contextOf(cache, false));
    await plugin.afterCacheAccess(contextOf(cache, false));
    await write(plugin, entry("olga"), cache);
    assert.match(await readFile(path, "utf8"), /olga/);
  },
});

keep("after without before", "saves", async (_, bench) => {
  const { plugin, path } = await pluginOverFile(bench);
  await plugin.afterCacheAccess(contextOf(tokenCache(entry("olga")), true));
  assert.match(await readFile(path, "utf8"), /olga/);
  assert.equal(await lockfileExists(path), false);
});

keep("after without before", "without a change, writes nothing", async (_, bench) => {
  const { plugin, path } = await pluginOverFile(bench);
  await plugin.afterCacheAccess(contextOf(tokenCache(entry("olga")), false));
  assert.equal(await readFile(path, "utf8"), "");
});

/**
 * Stores one account; then a client that never read the store saves its own account. Records whether a lock was held.
 *
 * @param {import("node:test").TestContext} t
 * @param {import("../row.mjs").Bench} bench
 */
async function lateComer(t, bench) {
  const { plugin, path, persistence } = await pluginOverFile(bench);
  await writeFile(path, entry("olga"));
  /** @type {boolean[]} */
  const locked = [];
  const save = persistence.save.bind(persistence);
  t.mock.method(persistence, "save", async (/** @type {string} */ content) => {
    locked.push(await lockfileExists(path));
    return save(content);
  });
  await plugin.afterCacheAccess(contextOf(tokenCache(entry("bob")), true));
  return { locked, content: await readFile(path, "utf8") };
}

improve("after without before", "saves under the lock, and merged with what was there", {
  async original(t, bench) {
    const { locked, content } = await lateComer(t, bench);
    assert.deepEqual(locked, [false]);
    assert.doesNotMatch(content, /olga/);
    assert.match(content, /bob/);
  },
  async ours(t, bench) {
    const { locked, content } = await lateComer(t, bench);
    assert.deepEqual(locked, [true]);
    assert.match(content, /olga/);
    assert.match(content, /bob/);
  },
});

/**
 * Like msal-node: `before` fails, and `after` is called in `finally`.
 *
 * @param {import("node:test").TestContext} t
 * @param {import("../row.mjs").Bench} bench
 */
async function failedBefore(t, bench) {
  const { plugin, path, persistence } = await pluginOverFile(bench);
  await writeFile(path, entry("olga"));
  t.mock.method(persistence, "load", async () => {
    throw new Error("the disk is on fire");
  });
  await assert.rejects(write(plugin, entry("bob")), /the disk is on fire/);
  assert.equal(await lockfileExists(path), false);
  return readFile(path, "utf8");
}

change("after a failed before", "writes nothing and lets the first error through", {
  original: async (t, bench) => assert.equal(await failedBefore(t, bench), MSAL_EMPTY),
  ours: async (t, bench) => assert.equal(await failedBefore(t, bench), entry("olga")),
});

/** A second client on a plugin whose first client has read the store already. @param {import("../row.mjs").Bench} bench */
async function secondClient(bench) {
  const { plugin, path } = await pluginOverFile(bench);
  await writeFile(path, entry("olga"));
  // Wait until the file is older than the first client's read by any clock.
  await new Promise((resolve) => setTimeout(resolve, 50));
  await plugin.beforeCacheAccess(contextOf(tokenCache(), false));
  const second = tokenCache();
  await plugin.beforeCacheAccess(contextOf(second, false));
  return second.seen;
}

improve("several clients", "on one plugin each get what is stored", {
  original: async (_, bench) => assert.deepEqual(await secondClient(bench), []),
  ours: async (_, bench) => assert.deepEqual(await secondClient(bench), [entry("olga")]),
});
