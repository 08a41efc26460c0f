// @ts-check
/** A further copy of the package in this process, as an alias, another dependency or a reset of modules makes one. */
import { createRequire } from "node:module";
import { subject } from "./subject.mjs";

/** @returns {any} */
export function anotherCopy() {
  const require = createRequire(import.meta.url);
  const place = require.resolve(subject);
  const cached = require.cache[place];
  delete require.cache[place];
  try {
    return require(subject);
  } finally {
    require.cache[place] = cached;
  }
}
