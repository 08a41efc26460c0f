// @ts-check
import assert from "node:assert/strict";
import { cp, mkdir, realpath, writeFile } from "node:fs/promises";
import { basename, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { output } from "../../support/processes.mjs";
import { isOriginal, subject } from "../../support/subject.mjs";
import { change, keep } from "../row.mjs";

const MODULES = fileURLToPath(new URL("../../node_modules", import.meta.url));

/** A runtime whose native part could not start, as on a system without a broker. */
const RUNTIME_WITHOUT_BROKER = `
exports.msalNodeRuntime = { StartupError: new Error("no broker here"), RegisterLogger() {} };
exports.ErrorStatus = {};
exports.LogLevel = {};
`;

/**
 * A project with copies of the package and of what it needs, so that nothing else is found on the way up.
 *
 * @param {string} dir
 * @param {string | undefined} runtime  source of a stand-in for @azure/msal-node-runtime; none is installed without
 */
async function project(dir, runtime) {
  const leaveOut = new Set(["node_modules", "test", "test-types", "target", "src", "ts"]);
  for (const name of isOriginal ? [subject, "keytar"] : [subject]) {
    const from = await realpath(join(MODULES, name));
    // Only what is below the package itself: its own place may be inside a node_modules.
    const filter = (/** @type {string} */ path) =>
      !path
        .slice(from.length)
        .split(sep)
        .some((part) => leaveOut.has(part) && name !== "keytar");
    await cp(from, join(dir, "node_modules", name), { recursive: true, filter });
  }
  if (runtime !== undefined) {
    const place = join(dir, "node_modules", "@azure", "msal-node-runtime");
    await mkdir(place, { recursive: true });
    await writeFile(join(place, "package.json"), JSON.stringify({ name: basename(place), main: "index.js" }));
    await writeFile(join(place, "index.js"), runtime);
  }
}

/** Runs a program in the project and returns what it printed. @param {string} dir @param {string} program */
async function play(dir, program) {
  await writeFile(join(dir, "main.mjs"), program);
  return (await output(process.execPath, ["main.mjs"], { cwd: dir })).trim();
}

keep("broker", "a runtime that could not start means isBrokerAvailable is false", async (_, { dir }) => {
  await project(dir, RUNTIME_WITHOUT_BROKER);
  const program = `
    const { NativeBrokerPlugin } = await import("${subject}");
    const plugin = new NativeBrokerPlugin();
    plugin.setLogger({ loggerCallback() {} });
    console.log(plugin.isBrokerAvailable);`;
  assert.equal(await play(dir, program), "false");
});

/** What happens at import and at construction where the runtime is not installed. */
const WITHOUT_RUNTIME = `
  let at = "import";
  try {
    const { createRequire } = await import("node:module");
    const { NativeBrokerPlugin } = createRequire(import.meta.url)("${subject}");
    at = "construction";
    new NativeBrokerPlugin();
    at = "never";
  } catch (error) {
    console.log(at, error.errorCode ?? error.code, /npm install @azure\\/msal-node-runtime/.test(error.message));
  }`;

change("broker", "a runtime that is not installed is an error at construction, not at import", {
  async original(_, { dir }) {
    await project(dir, undefined);
    assert.equal(await play(dir, WITHOUT_RUNTIME), "import MODULE_NOT_FOUND false");
  },
  async ours(_, { dir }) {
    await project(dir, undefined);
    assert.equal(await play(dir, WITHOUT_RUNTIME), "construction NotSupportedError true");
  },
});
