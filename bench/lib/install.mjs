// @ts-check
/**
 * Measures what `npm install` of a package takes and adds, in an empty folder. npm's own cache may serve downloads.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { track } from "../../bindings/node/test/support/processes.mjs";
import { inDirectory } from "./sides.mjs";

/** Time enough for an installation that runs a compiler. */
const DEADLINE_MS = 180_000;

/**
 * Installs `what`; returns milliseconds, packages, megabytes, and the number of compiled binaries.
 *
 * @param {string[]} what packages or tarballs
 */
export function install(what) {
  return inDirectory(async (directory) => {
    const began = performance.now();
    // Without a lock file, like a user who follows the first line of the README.
    const npm = track(
      spawn("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error", ...what], {
        cwd: directory,
        env: { ...process.env, npm_config_update_notifier: "false" },
        stdio: ["ignore", "ignore", "pipe"],
      }),
    );
    let errors = "";
    npm.stderr.setEncoding("utf8").on("data", (text) => {
      errors += text;
    });
    const late = setTimeout(() => npm.kill("SIGKILL"), DEADLINE_MS);
    const [code] = await once(npm, "close");
    clearTimeout(late);
    if (code !== 0) {
      throw new Error(`npm install ${what.join(" ")} failed (${code})\n${errors}`);
    }
    const ms = performance.now() - began;
    const modules = join(directory, "node_modules");
    const lock = JSON.parse(readFileSync(join(modules, ".package-lock.json"), "utf8"));
    const files = filesIn(modules);
    return {
      ms,
      packages: Object.keys(lock.packages).length,
      MB: files.reduce((sum, file) => sum + statSync(file).size, 0) / (1 << 20),
      "binaries compiled": files.filter((file) => /[/\\]build[/\\]Release[/\\][^/\\]+\.node$/.test(file))
        .length,
    };
  });
}

/** @param {string} folder @returns {string[]} */
function filesIn(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesIn(path) : entry.isFile() ? [path] : [];
  });
}
