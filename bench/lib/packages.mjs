// @ts-check
/**
 * The packages that are compared, loaded as their users load them. Which one is in the specification of a program.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** @typedef {"tokenkeep" | "original"} PackageName */

/** Where `cargo xtask bench` installed the packed tarballs of tokenkeep. */
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
 * The path of the file that Node.js takes for `require` or, as "esm", for `import`.
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
 * A persistence as a program of the specification asks for it.
 *
 * @param {any} extensions
 * @param {{ store: string, path: string, durability?: string }} specification
 */
export function persistenceOf(extensions, { store, path, durability }) {
  return store === "file"
    ? extensions.FilePersistence.create(path, undefined, durability ? { durability } : undefined)
    : extensions.LibSecretPersistence.create(path, "tokenkeep-bench", "bench");
}
