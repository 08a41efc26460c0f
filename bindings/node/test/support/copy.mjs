// @ts-check
/** Further copies of the package in this process, as an alias, another dependency or a reset of modules makes them. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import vm from "node:vm";
import { subject } from "./subject.mjs";

const require = createRequire(import.meta.url);
const place = require.resolve(subject);

/** @returns {any} */
export function anotherCopy() {
  const cached = require.cache[place];
  delete require.cache[place];
  try {
    return require(subject);
  } finally {
    require.cache[place] = cached;
  }
}

/** A copy whose code runs in a context of its own, with other global objects, as test runners do. @returns {any} */
export function copyInContext() {
  const context = vm.createContext({ process, Buffer, queueMicrotask, setTimeout, clearTimeout, URL });
  return run((code) => vm.runInContext(code, context, { filename: place }));
}

/** A copy of another version. Only what it calls itself differs: its code and its addon are ours. @returns {any} */
export function copyOfVersion(/** @type {string} */ version) {
  const { dlopen } = process;
  // Its addon has to be of the same version as its code.
  const stand = Object.create(process, {
    dlopen: {
      value: (/** @type {any} */ module, /** @type {string} */ file) => {
        dlopen.call(process, module, file);
        module.exports = { ...module.exports, version: () => version };
      },
    },
  });
  const named = (/** @type {string} */ code) =>
    code.replace(/const VERSION = "[^"]+"/, `const VERSION = "${version}"`);
  return run((code) => vm.runInThisContext(named(code), { filename: place }), stand);
}

/** @param {(code: string) => any} evaluate @param {NodeJS.Process} processSeen */
function run(evaluate, processSeen = process) {
  const wrapped = `(function (exports, require, module, __filename, __dirname, process) {${readFileSync(place, "utf8")}\n})`;
  const module = { exports: {} };
  evaluate(wrapped)(module.exports, createRequire(place), module, place, "", processSeen);
  return module.exports;
}
