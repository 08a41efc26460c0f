// @ts-check
/**
 * Measures what a program pays once: the import, the first `createPersistence`, the first read.
 *
 * Specification: { package, module: "esm" | "cjs", path, plaintext }. Result: the milliseconds of each step and the
 * outcome of `createPersistence` (a class, or the name of an error).
 */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { Client } from "../lib/content.mjs";
import { entry } from "../lib/packages.mjs";
import { specification, tell, timed } from "../lib/program.mjs";

const spec = specification();
const path = entry(spec.package, spec.module);
const require = createRequire(import.meta.url);
/** @type {any} */
let extensions;
const steps = {
  import: await timed(async () => {
    extensions = spec.module === "esm" ? await import(pathToFileURL(path).href) : require(path);
  }),
  create: 0,
  firstRead: 0,
};
let outcome = "";
/** @type {any} */
let store;
steps.create = await timed(async () => {
  try {
    const persistence = await extensions.PersistenceCreator.createPersistence({
      cachePath: spec.path,
      dataProtectionScope: extensions.DataProtectionScope.CurrentUser,
      serviceName: "tokenkeep-bench",
      accountName: "start",
      usePlaintextFileOnLinux: spec.plaintext,
    });
    outcome = persistence.constructor.name;
    store = persistence;
  } catch (error) {
    outcome = /** @type {Error} */ (error).name;
  }
});
if (store) {
  const plugin = new extensions.PersistenceCachePlugin(store);
  const context = new Client("{}").context(false);
  steps.firstRead = await timed(async () => {
    await plugin.beforeCacheAccess(context);
    await plugin.afterCacheAccess(context);
  });
}
tell({ ...steps, outcome });
process.exit(0);
