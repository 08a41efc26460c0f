// @ts-check
/**
 * Removes the desktop session from this process before any package is loaded, so that the contract tests reach no
 * real keyring and no real home directory.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const home = mkdtempSync(join(tmpdir(), "tk-"));
process.on("exit", () => rmSync(home, { recursive: true, force: true }));

for (const name of [
  "DBUS_SESSION_BUS_ADDRESS",
  "DISPLAY",
  "WAYLAND_DISPLAY",
  "XDG_DATA_HOME",
  "XDG_CACHE_HOME",
]) {
  delete process.env[name];
}
process.env.HOME = home;
// libsecret looks here for a bus if there is no address.
process.env.XDG_RUNTIME_DIR = home;
