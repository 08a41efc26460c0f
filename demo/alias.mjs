// @ts-check
/**
 * Puts another package in the place of "tokenkeep", for `demo.mjs --package`: loaded with `node --import`, it resolves
 * the name where the tests have the original installed. The example itself stays untouched.
 */
import { register } from "node:module";

const hook = `
  export async function resolve(specifier, context, next) {
    if (specifier !== "tokenkeep") return next(specifier, context);
    return next(process.env.TOKENKEEP_DEMO_PACKAGE, { ...context, parentURL: process.env.TOKENKEEP_DEMO_PARENT });
  }`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
