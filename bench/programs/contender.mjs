// @ts-check
/**
 * One of several processes that write to one cache. Each adds one to its own counter, many times.
 *
 * Specification: { package, store, durability?, path, name, writes }. It prints "ready", starts when it reads a line,
 * and returns { began, ended, waits }: times of the machine's monotonic clock and waits for the lock, in
 * milliseconds.
 */
import { once } from "node:events";
import { Client } from "../lib/content.mjs";
import { load, persistenceOf } from "../lib/packages.mjs";
import { specification, tell } from "../lib/program.mjs";

const spec = specification();
const extensions = load(spec.package);
const plugin = new extensions.PersistenceCachePlugin(await persistenceOf(extensions, spec));
const client = new Client("{}");
/** Comparable between processes, which `performance.now()` is not. */
const now = () => Number(process.hrtime.bigint()) / 1e6;

tell("ready");
await once(process.stdin, "data");
const waits = [];
let failures = 0;
const began = now();
for (let n = 0; n < spec.writes; n += 1) {
  const context = client.context(true);
  const asked = now();
  try {
    await plugin.beforeCacheAccess(context);
    waits.push(now() - asked);
    client.content = counted(client.content);
  } catch {
    failures += 1;
  } finally {
    // The same call as in msal-node.
    await plugin.afterCacheAccess(context).catch(() => {
      failures += 1;
    });
  }
}
tell({ began, ended: now(), waits, failures });
process.exit(0);

/** @param {string} content */
function counted(content) {
  let cache;
  try {
    cache = JSON.parse(content || "{}");
  } catch {
    // The content was half written. A client would start with an empty cache, and so does this program.
    cache = {};
  }
  cache.Account ??= {};
  cache.Account[spec.name] ??= { local_account_id: "0" };
  const entry = cache.Account[spec.name];
  entry.local_account_id = String(Number(entry.local_account_id) + 1);
  return JSON.stringify(cache);
}
