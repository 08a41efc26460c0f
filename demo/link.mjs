// @ts-check
/**
 * Lets a folder of this repository import "tokenkeep" by name before the package is published: a link in its
 * node_modules to the package's own folder. An installed copy (from a packed tarball, say) is left alone.
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
    // Several test processes start at once; one of them is first.
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EEXIST") {
      throw error;
    }
  }
}
