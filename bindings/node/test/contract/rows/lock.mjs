// @ts-check
import assert from "node:assert/strict";
import { readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { timed } from "../../support/clock.mjs";
import { contextOf, entry, lockfileExists, tokenCache, write } from "../plugin-bench.mjs";
import { improve, keep, rejection } from "../row.mjs";

/** A process other than this one that lives as long: the test runner. */
const HOLDER = process.ppid;

const SENTENCE = "Not able to acquire lock. Exceeded amount of retries set in options";

/** A plugin over a file, and a lock file as a living process of the original writes it. @param {import("../row.mjs").Bench} bench @param {object} [options] */
async function lockedOut({ ext, dir }, options) {
  const path = join(dir, "cache.json");
  const plugin = new ext.PersistenceCachePlugin(await ext.FilePersistence.create(path), options);
  await writeFile(`${path}.lockfile`, String(HOLDER));
  return { path, plugin };
}

keep("lock options", "retryNumber times retryDelay is how long a writer waits", async (_, bench) => {
  const { plugin } = await lockedOut(bench, { retryNumber: 6, retryDelay: 100 });
  const {
    result: error,
    naps,
    clock,
  } = await timed(() => rejection(plugin.beforeCacheAccess(contextOf(tokenCache(), true))));
  assert.equal(error.name, "PersistenceError");
  assert.equal(error.errorCode, "CrossPlatformLockError");
  assert.ok(clock > 500 && naps < 1_500, `waited ${Math.round(clock)} ms, ${naps} naps`);
});

keep("lock options", "the error begins with the sentence of the original", async (_, bench) => {
  const { plugin } = await lockedOut(bench, { retryNumber: 2, retryDelay: 50 });
  const error = await rejection(plugin.beforeCacheAccess(contextOf(tokenCache(), true)));
  assert.ok(error.errorMessage.startsWith(SENTENCE), error.errorMessage);
});

improve("lock options", "the error names path and holder", {
  async original(_, bench) {
    const { plugin } = await lockedOut(bench, { retryNumber: 2, retryDelay: 50 });
    const error = await rejection(plugin.beforeCacheAccess(contextOf(tokenCache(), true)));
    assert.equal(error.errorMessage, SENTENCE);
  },
  async ours(_, bench) {
    const { plugin, path } = await lockedOut(bench, { retryNumber: 2, retryDelay: 50 });
    const error = await rejection(plugin.beforeCacheAccess(contextOf(tokenCache(), true)));
    assert.ok(error.errorMessage.includes(path), error.errorMessage);
    assert.ok(error.errorMessage.includes(String(HOLDER)), error.errorMessage);
  },
});

keep("lock options", "a writer goes on as soon as the lock file is gone", async (_, bench) => {
  const { plugin, path } = await lockedOut(bench, { retryNumber: 50, retryDelay: 100 });
  const { naps, clock } = await timed(() => {
    setTimeout(() => unlink(`${path}.lockfile`), 300);
    return write(plugin, entry("olga"));
  });
  assert.ok(clock > 250 && naps < 2_000, `waited ${Math.round(clock)} ms, ${naps} naps`);
  assert.match(await readFile(path, "utf8"), /olga/);
});

keep(
  "lock options",
  "the lock file is there between before and after, and gone afterwards",
  async (_, bench) => {
    const path = join(bench.dir, "cache.json");
    const plugin = new bench.ext.PersistenceCachePlugin(await bench.ext.FilePersistence.create(path));
    const context = contextOf(tokenCache(), true);
    await plugin.beforeCacheAccess(context);
    assert.equal(await lockfileExists(path), true);
    // The original's record is the pid alone; siblings read up to the first space.
    assert.equal(parseInt(await readFile(`${path}.lockfile`, "utf8"), 10), process.pid);
    await plugin.afterCacheAccess(context);
    assert.equal(await lockfileExists(path), false);
  },
);

/** Options with which the original takes no lock, although the lock is free. */
const INCOMPLETE = [{}, { retryDelay: 100 }, { retryNumber: 0, retryDelay: 100 }];

for (const options of INCOMPLETE) {
  improve("lock options", `${JSON.stringify(options)} takes a free lock`, {
    async original(_, { ext, dir }) {
      const persistence = await ext.FilePersistence.create(join(dir, "cache.json"));
      const error = await rejection(
        write(new ext.PersistenceCachePlugin(persistence, options), entry("olga")),
      );
      assert.equal(error.errorCode, "CrossPlatformLockError");
    },
    async ours(_, { ext, dir }) {
      const persistence = await ext.FilePersistence.create(join(dir, "cache.json"));
      await write(new ext.PersistenceCachePlugin(persistence, options), entry("olga"));
      assert.match(await persistence.load(), /olga/);
    },
  });
}

improve("lock options", "a writer that gives up leaves the holder's lock file alone", {
  async original(_, bench) {
    // Only a plugin that has locked before deletes it: the plugin never clears its handle.
    const { plugin, path } = await warmAndLockedOut(bench);
    await attempt(plugin);
    assert.equal(await lockfileExists(path), false);
  },
  async ours(_, bench) {
    const { plugin, path } = await warmAndLockedOut(bench);
    await attempt(plugin);
    assert.equal(await lockfileExists(path), true);
  },
});

/** @param {import("../row.mjs").Bench} bench */
async function warmAndLockedOut({ ext, dir }) {
  const path = join(dir, "cache.json");
  const options = { retryNumber: 2, retryDelay: 50 };
  const plugin = new ext.PersistenceCachePlugin(await ext.FilePersistence.create(path), options);
  await write(plugin, entry("olga"));
  await writeFile(`${path}.lockfile`, String(HOLDER));
  return { path, plugin };
}

/** @param {any} plugin */
async function attempt(plugin) {
  const error = await rejection(write(plugin, entry("bob")));
  assert.equal(error.errorCode, "CrossPlatformLockError");
}
