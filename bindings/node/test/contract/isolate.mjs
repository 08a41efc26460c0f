// @ts-check
/**
 * Takes the real desktop session away from this process before any package is loaded: what the contract tests do here
 * can reach no keyring, and the home directory is nobody's.
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
// libsecret looks for a bus in here when no address is given.
process.env.XDG_RUNTIME_DIR = home;
