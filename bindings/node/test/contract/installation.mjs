// @ts-check
/**
 * Copies the package into a project, where its dependencies can be left out or replaced.
 */
import { cp, mkdir, realpath, writeFile } from "node:fs/promises";
import { basename, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { output } from "../support/processes.mjs";
import { isOriginal, subject } from "../support/subject.mjs";

const MODULES = fileURLToPath(new URL("../node_modules", import.meta.url));

/** Entries of the package's folder that are not packed. */
const NOT_PACKED = new Set(["node_modules", "test", "test-types", "target", "src", "ts"]);

/**
 * Copies the package and its dependencies, so that Node finds no others in parent folders.
 *
 * @param {string} dir
 * @param {object} [options]
 * @param {string} [options.runtime]  source of a stand-in for the broker's runtime; without it no runtime is installed
 * @param {boolean} [options.native]  whether compiled addons are copied too
 */
export async function copyPackage(dir, { runtime, native = true } = {}) {
  for (const name of isOriginal ? [subject, "keytar"] : [subject]) {
    const from = await realpath(join(MODULES, name));
    /** Checks only paths inside the package, because the package itself may be inside a node_modules. @param {string} path */
    const filter = (path) => {
      const parts = path.slice(from.length).split(sep);
      const packed = name === "keytar" || !parts.some((part) => NOT_PACKED.has(part));
      return packed && (native || !path.endsWith(".node"));
    };
    await cp(from, join(dir, "node_modules", name), { recursive: true, filter });
  }
  if (runtime !== undefined) {
    const place = join(dir, "node_modules", "@azure", "msal-node-runtime");
    await mkdir(place, { recursive: true });
    await writeFile(join(place, "package.json"), JSON.stringify({ name: basename(place), main: "index.js" }));
    await writeFile(join(place, "index.js"), runtime);
  }
}

/**
 * Runs an ES module beside the copies and returns its output.
 *
 * @param {string} dir
 * @param {string} program
 */
export async function play(dir, program) {
  await writeFile(join(dir, "main.mjs"), program);
  return (await output(process.execPath, ["main.mjs"], { cwd: dir })).trim();
}
