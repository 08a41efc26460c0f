// @ts-check
/**
 * The two programs beside Node: tokenkeep in Rust, and a Python with msal-extensions. `cargo xtask test --only mixed`
 * builds both and sets variables with their paths.
 */
import { accessSync, constants } from "node:fs";

const REMEDY = "run: cargo xtask test --only mixed (which builds it)";

/** @param {string} variable @param {string} what */
function program(variable, what) {
  const path = process.env[variable];
  if (!path) {
    throw new Error(`${variable} does not name ${what}; ${REMEDY}`);
  }
  try {
    accessSync(path, constants.X_OK);
  } catch (cause) {
    throw new Error(`${what} is not at ${path} (${variable}); ${REMEDY}`, { cause });
  }
  return path;
}

/** The binary `tokenkeep-proofs-signer`. */
export const signer = () => program("TOKENKEEP_SIGNER", "tokenkeep-proofs-signer");

/** A Python that has msal-extensions and portalocker. */
export const python = () => program("TOKENKEEP_PYTHON", "a Python with msal-extensions");
