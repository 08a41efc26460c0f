// @ts-check
/**
 * A resolve hook for `demo.mjs --package`: loaded with `node --import`, it resolves "tokenkeep" to another package,
 * where the tests have that package installed. `example.mjs` itself stays as it is.
 */
import { register } from "node:module";

const hook = `
  export async function resolve(specifier, context, next) {
    if (specifier !== "tokenkeep") return next(specifier, context);
    return next(process.env.TOKENKEEP_DEMO_PACKAGE, { ...context, parentURL: process.env.TOKENKEEP_DEMO_PARENT });
  }`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
