// @ts-check
/**
 * The system programs that the tests need, and the error message for a missing one.
 *
 * A missing program is a failure, never a skipped test: a run without proof must not look green.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** The Debian package of each program, so that the message can be pasted into a shell. */
const PACKAGES = /** @type {const} */ ({
  bindfs: "bindfs",
  "dbus-daemon": "dbus",
  "dbus-send": "dbus",
  "gnome-keyring-daemon": "gnome-keyring",
  "secret-tool": "libsecret-tools",
  strace: "strace",
});

/** @typedef {keyof typeof PACKAGES} Tool */

/** The reason to leave a test out on another system. */
export class NeedsLinux extends Error {}

/**
 * Throws on other systems than Linux. The contract counts such a test as skipped, by name; on Linux nothing is skipped.
 *
 * @param {string} what
 */
export function requireLinux(what) {
  if (process.platform !== "linux") {
    throw new NeedsLinux(`needs ${what}, which only Linux has`);
  }
}

/** @param {string} name */
function onPath(name) {
  return (process.env.PATH ?? "").split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Throws an error with the command that installs them if a program is missing.
 *
 * @param {Tool[]} names
 */
export function requireTools(...names) {
  requireLinux(names.join(" and "));
  const missing = names.filter((name) => !onPath(name));
  if (missing.length === 0) {
    return;
  }
  const packages = [...new Set(missing.map((name) => PACKAGES[name]))];
  throw new Error(
    `${missing.join(", ")} not found; install with: apt-get install --no-install-recommends ${packages.join(" ")}`,
  );
}
