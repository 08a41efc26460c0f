// @ts-check
/** Another process, or thread, on one cache: `crowd PATH NAME` signs ten people in, `hold PATH` keeps the lock. */
import { isMainThread } from "node:worker_threads";
import { change, contextOf, Memory } from "../plugin/memory.mjs";
import { imported } from "../support/subject.mjs";

const [task, path, name] = process.argv.slice(2);
const { DataProtectionScope, FilePersistenceWithDataProtection, PersistenceCachePlugin } = await imported();
const persistence = await FilePersistenceWithDataProtection.create(path, DataProtectionScope.CurrentUser);
const plugin = new PersistenceCachePlugin(persistence);

if (task === "crowd") {
  const memory = new Memory();
  for (let number = 0; number < 10; number += 1) {
    await change(plugin, memory, (/** @type {any} */ client) => client.signIn(`${name}${number}`));
  }
  // The channel to the parent would keep the process alive.
  if (isMainThread) {
    process.disconnect?.();
  }
} else {
  await plugin.beforeCacheAccess(contextOf(new Memory(), true));
  process.send?.("held");
  // Until it is killed.
  setTimeout(() => {}, 60_000);
}
