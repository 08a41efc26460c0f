// @ts-check
/**
 * The package under test: ours or the original, by the variable TOKENKEEP_TEST_PACKAGE.
 */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { linkTokenkeep } from "../../../../demo/link-package.mjs";

export const OURS = "tokenkeep";
export const ORIGINAL = "@azure/msal-node-extensions";

/** The import specifier of the package under test. */
export const subject = process.env.TOKENKEEP_TEST_PACKAGE ?? OURS;

if (subject !== OURS && subject !== ORIGINAL) {
  throw new Error(
    `TOKENKEEP_TEST_PACKAGE is ${JSON.stringify(subject)}; it can be "${OURS}" or "${ORIGINAL}"`,
  );
}

/** True when the tests run against the original. */
export const isOriginal = subject === ORIGINAL;

if (!isOriginal) {
  linkTokenkeep(fileURLToPath(new URL("..", import.meta.url)));
}

/** The package as an ES module. @returns {Promise<any>} */
export const imported = () => import(subject);

/** The package as a CommonJS module. @returns {any} */
export const required = () => createRequire(import.meta.url)(subject);
