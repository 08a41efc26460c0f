// @ts-check
/**
 * Lets a folder of this repository import "tokenkeep" by name before the package is published, by a link in its
 * node_modules to the package's folder. A copy that is already installed (from a packed tarball, for example) stays.
 */
import { existsSync, lstatSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGE = fileURLToPath(new URL("../bindings/node", import.meta.url));

/** @param {string} folder the folder whose modules want to import the package */
export function linkTokenkeep(folder) {
  const place = join(folder, "node_modules", "tokenkeep");
  if (lstatSync(place, { throwIfNoEntry: false })) {
    return;
  }
  if (!existsSync(join(PACKAGE, "package.json"))) {
    throw new Error(`${PACKAGE} holds no package yet; build it with: cargo xtask demo`);
  }
  mkdirSync(join(folder, "node_modules"), { recursive: true });
  try {
    // "junction" needs no privilege on Windows and is ignored elsewhere.
    symlinkSync(PACKAGE, place, "junction");
  } catch (error) {
    // Several test processes may create the link at the same time; one of them succeeds.
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EEXIST") {
      throw error;
    }
  }
}
