// @ts-check
/**
 * Loads the packages that are compared, as their users load them. The specification of a program names the package.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** @typedef {"tokenkeep" | "original"} PackageName */

/** The folder in which `cargo xtask bench` installed the packed tarballs of tokenkeep. */
const OURS = process.env.TOKENKEEP_BENCH_PACKAGE;

/** The folder from which a package is imported. @param {PackageName} name */
function origin(name) {
  if (name === "original") {
    return import.meta.url;
  }
  if (!OURS) {
    throw new Error("TOKENKEEP_BENCH_PACKAGE is not set; start this with: cargo xtask bench");
  }
  return `${OURS}/package.json`;
}

/** @param {PackageName} name */
export function specifier(name) {
  return name === "original" ? "@azure/msal-node-extensions" : "tokenkeep";
}

/**
 * Returns the path of the file that Node.js loads for `require` or, as "esm", for `import`.
 *
 * @param {PackageName} name
 * @param {"cjs" | "esm"} module
 */
export function entry(name, module) {
  const require = createRequire(origin(name));
  if (module === "cjs") {
    return require.resolve(specifier(name));
  }
  const manifest = require.resolve(`${specifier(name)}/package.json`);
  const conditions = require(manifest).exports["."].import;
  return join(dirname(manifest), conditions["node-addons"] ?? conditions.default);
}

/** @param {PackageName} name @returns {any} */
export function load(name) {
  return createRequire(origin(name))(specifier(name));
}

/**
 * Creates the persistence that a program's specification names.
 *
 * @param {any} extensions
 * @param {{ store: string, path: string, durability?: string }} specification
 */
export function persistenceOf(extensions, { store, path, durability }) {
  return store === "file"
    ? extensions.FilePersistence.create(path, undefined, durability ? { durability } : undefined)
    : extensions.LibSecretPersistence.create(path, "tokenkeep-bench", "bench");
}
