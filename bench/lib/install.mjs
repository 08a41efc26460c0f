// @ts-check
/**
 * What `npm install` of a package leaves behind and takes, in a fresh folder, from npm's cache as far as it has it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { track } from "../../bindings/node/test/support/processes.mjs";
import { inDirectory } from "./sides.mjs";

/** A compiler may be at work. */
const DEADLINE_MS = 180_000;

/**
 * Installs `what`, and tells the milliseconds, the packages and the megabytes, and how many binaries were compiled for it.
 *
 * @param {string[]} what packages or tarballs
 */
export function install(what) {
  return inDirectory(async (directory) => {
    const began = performance.now();
    // No lock file of ours: as somebody begins who has read the first line of the page.
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
