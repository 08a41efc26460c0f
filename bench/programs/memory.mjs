// @ts-check
/**
 * Measures the peak memory of writing and reloading a cache.
 *
 * Specification: { package: "tokenkeep" | "original" | "none", store, path, bytes }. Result: the peak resident set of
 * the process in bytes.
 */
import { utimesSync } from "node:fs";
import { Client, cacheOf } from "../lib/content.mjs";
import { load, persistenceOf } from "../lib/packages.mjs";
import { sleep, specification, tell } from "../lib/program.mjs";

const ROUNDS = 10;

const spec = specification();
const client = new Client("{}");
if (spec.package !== "none") {
  const extensions = load(spec.package);
  const plugin = new extensions.PersistenceCachePlugin(await persistenceOf(extensions, spec));
  for (let n = 0; n < ROUNDS; n += 1) {
    const writing = client.context(true);
    await plugin.beforeCacheAccess(writing);
    client.content = cacheOf(spec.bytes, n);
    await plugin.afterCacheAccess(writing);
    await sleep(15);
    utimesSync(spec.path, new Date(), new Date());
    const reading = client.context(false);
    await plugin.beforeCacheAccess(reading);
    await plugin.afterCacheAccess(reading);
  }
} else {
  for (let n = 0; n < ROUNDS; n += 1) {
    client.content = cacheOf(spec.bytes, n);
  }
}
tell(process.resourceUsage().maxRSS * 1024);
process.exit(0);
