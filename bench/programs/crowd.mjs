// @ts-check
/**
 * Runs many write cycles at the same time on one plugin in one process.
 *
 * Specification: { package, store, durability?, path, cycles }. Result: milliseconds for all of them.
 */
import { Client, cacheOf } from "../lib/content.mjs";
import { load, persistenceOf } from "../lib/packages.mjs";
import { specification, tell, timed } from "../lib/program.mjs";

const spec = specification();
const extensions = load(spec.package);
const plugin = new extensions.PersistenceCachePlugin(await persistenceOf(extensions, spec));

/** @param {Client} client @param {string} content */
async function write(client, content) {
  const context = client.context(true);
  await plugin.beforeCacheAccess(context);
  client.content = content;
  await plugin.afterCacheAccess(context);
}

const content = cacheOf(4_096, 1);
await write(new Client("{}"), content);
const clients = Array.from({ length: spec.cycles }, () => new Client(content));
tell(await timed(() => Promise.all(clients.map((client, n) => write(client, cacheOf(4_096, n))))));
