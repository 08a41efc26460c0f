// @ts-check
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { inRealTime, stopClock } from "../../support/stopped-clock.mjs";
import { contextOf, entry, tokenCache, write } from "../plugin-bench.mjs";
import { keep } from "../row.mjs";

for (const [what, api] of /** @type {const} */ ([
  ["of node:test", "node:test"],
  ["that replace every timer and clock", "all"],
])) {
  keep("fake timers", `a write and a read end under fake timers ${what}`, async (t, { ext, dir }) => {
    const path = join(dir, "cache.json");
    const persistence = await ext.FilePersistence.create(path);
    const plugin = new ext.PersistenceCachePlugin(persistence);
    if (api === "all") {
      stopClock(t);
    } else {
      t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "setImmediate", "Date"] });
    }
    await inRealTime(write(plugin, entry("olga")));
    const cache = tokenCache();
    await inRealTime(plugin.beforeCacheAccess(contextOf(cache, false)));
    await inRealTime(plugin.afterCacheAccess(contextOf(cache, false)));
    assert.match(await readFile(path, "utf8"), /olga/);
  });
}
