// @ts-check
/** A project with the example of the document, and the required result of running it twice. */
import assert from "node:assert/strict";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packedVersion } from "../packages/project.mjs";
import { output } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";

const DEMO = fileURLToPath(new URL("../../../../demo", import.meta.url));
const PROGRAM = fileURLToPath(new URL("program.mjs", import.meta.url));

/** The dependencies of the project. */
export const DEPENDENCIES = { tokenkeep: `^${packedVersion()}`, "@azure/msal-node": "7.2.1" };

/**
 * Writes the program, the example and the offline service into a project.
 *
 * @param {string} folder
 * @param {{ embed?: boolean }} [options] whether the program asks bundlers to include the addon
 */
export async function writeExample(folder, { embed = false } = {}) {
  await cp(join(DEMO, "signin"), join(folder, "signin"), { recursive: true });
  await cp(join(DEMO, "example.mjs"), join(folder, "example.mjs"));
  await cp(PROGRAM, join(folder, "program.mjs"));
  const main = `${embed ? 'import "tokenkeep/embed";\n' : ""}import "./program.mjs";\n`;
  await writeFile(join(folder, "main.mjs"), main);
}

/**
 * Runs the program twice as a user without a keyring.
 *
 * @param {import("../support/scratch.mjs").Scope} scope
 * @param {string[]} command
 * @param {string} cwd
 */
export async function signsInAndStays(scope, command, cwd) {
  const home = await scratchDirectory(scope);
  await mkdir(join(home, "run"), { mode: 0o700 });
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    XDG_RUNTIME_DIR: join(home, "run"),
    DENO_NO_UPDATE_CHECK: "1",
  };
  for (const phase of ["first", "second"]) {
    const [program = "", ...words] = command;
    const printed = await output(program, words, { cwd, env: { ...env, PHASE: phase } });
    assert.deepEqual(
      JSON.parse(printed.trim().split("\n").at(-1) ?? ""),
      {
        username: "ada@contoso.example",
        fromCache: true,
        backend: "plaintextFile",
        keyringFailed: "store_unavailable",
      },
      `${phase} run`,
    );
  }
}
