// @ts-check
/**
 * A user's project: a package.json, installed by the real npm, and programs that run in it.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { output } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { startRegistry } from "./registry.mjs";
import { tarballs } from "./tarball.mjs";

/** npm fetches dozens of packages, and the original compiles keytar. */
export const INSTALL_MS = 5 * 60_000;

/** npm's download cache, kept between runs and separate from the user's own. */
const CACHE = fileURLToPath(new URL("../node_modules/.cache/npm", import.meta.url));

export class Project {
  /** @param {string} folder */
  constructor(folder) {
    this.folder = folder;
  }

  /** Returns the names of all installed packages, nested ones in the form of npm's lock files. */
  async installed() {
    // The installed packages: the project's own lock file also lists those of other platforms.
    const path = join(this.folder, "node_modules", ".package-lock.json");
    const lock = JSON.parse(await readFile(path, "utf8"));
    return Object.keys(lock.packages).map((place) => place.replace(/^node_modules\//, ""));
  }

  /**
   * Runs an ES module in the project and returns its output.
   *
   * @param {string} program
   * @param {NodeJS.ProcessEnv} [env]
   */
  async play(program, env = process.env) {
    const file = join(this.folder, "program.mjs");
    await writeFile(file, program);
    return (await output(process.execPath, [file], { cwd: this.folder, env })).trim();
  }
}

/**
 * Installs a project, with our tarballs as if published, and without scripts, because ours need none. For the
 * original itself: from the configured registry, with scripts, because it needs them.
 *
 * @param {import("../support/scratch.mjs").Scope} scope
 * @param {object} manifest
 * @param {{ original?: boolean }} [options]
 */
export async function install(scope, manifest, { original = false } = {}) {
  const folder = await scratchDirectory(scope);
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, ...manifest }));
  const env = await environment(scope, { original });
  await output("npm", ["install"], { cwd: folder, env, deadline: INSTALL_MS });
  return new Project(folder);
}

/**
 * Returns the environment in which npm and other package managers install like `install`.
 *
 * @param {import("../support/scratch.mjs").Scope} scope
 * @param {{ original?: boolean, others?: Parameters<typeof startRegistry>[2] }} [options]
 */
export async function environment(scope, { original = false, others } = {}) {
  /** @type {NodeJS.ProcessEnv} */
  const env = { ...process.env, npm_config_audit: "false", npm_config_fund: "false" };
  // Settings of the npm that started this test are not a user's.
  for (const name of Object.keys(env)) {
    if (/^npm_(lifecycle|package)_/.test(name)) {
      delete env[name];
    }
  }
  if (!original) {
    Object.assign(env, {
      npm_config_registry: await startRegistry(scope, tarballs(), others),
      npm_config_cache: CACHE,
      npm_config_ignore_scripts: "true",
      npm_config_noproxy: "127.0.0.1",
    });
  }
  return env;
}

/** Returns the version of the packed main package. */
export function packedVersion() {
  const main = tarballs().find(({ manifest }) => manifest.name === "tokenkeep");
  if (!main) {
    throw new Error("there is no packed tokenkeep; make it with: cargo xtask pack");
  }
  return main.manifest.version;
}
