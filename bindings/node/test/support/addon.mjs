// @ts-check
/**
 * Builds of the addon for a purpose of the tests.
 */
import assert from "node:assert/strict";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./processes.mjs";
import { scratchDirectory } from "./scratch.mjs";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));

/** The time limit of a build, for the hook that waits for it. */
export const BUILDING = { timeout: 300_000 };

/**
 * Builds the addon with one of its features and returns the path of a copy, which stays until the process ends.
 *
 * @param {string} feature
 */
export async function addonWith(feature) {
  const words = `build --locked -p tokenkeep-node --features ${feature} --message-format=json`;
  const { code, stdout, stderr } = await run("cargo", words.split(" "), { cwd: ROOT, deadline: 280_000 });
  assert.equal(code, 0, stderr);
  const library = stdout
    .split("\n")
    .filter((line) => line.includes('"compiler-artifact"') && line.includes("tokenkeep-node"))
    .flatMap((line) => JSON.parse(line).filenames)
    .find((name) => /\.(so|dylib|dll)$/.test(name));
  // At cargo's own path, the next build would replace it by the ordinary addon.
  const addon = join(await scratchDirectory({ after: (end) => process.once("exit", end) }), "tokenkeep.node");
  await copyFile(library, addon);
  return addon;
}
