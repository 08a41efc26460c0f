// @ts-check
/**
 * Runs the tests: `node support/run.mjs [--original] [set ...]`, where a set is a folder beside this one.
 *
 * Without a set it runs all of them. The contract runs against both packages, all other sets against ours.
 * `--original` runs the named sets against the original alone, to check that the tests are fair. Failures are
 * expected then; the README lists them.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const SETS = [
  "contract",
  "plugin",
  "msal",
  "stores",
  "interop",
  "keychain",
  "mixed",
  "languages",
  "server",
  "packages",
  "pages",
  "everywhere",
  "programs",
];
if (process.platform === "win32") {
  SETS.push("windows");
}
if (process.platform === "darwin") {
  SETS.push("macos");
}
const OURS = "tokenkeep";
const ORIGINAL = "@azure/msal-node-extensions";

const { values, positionals } = parseArgs({
  options: { original: { type: "boolean", default: false }, reporter: { type: "string", default: "spec" } },
  allowPositionals: true,
});
const wrong = positionals.find((set) => !SETS.includes(set));
if (wrong) {
  console.error(`no set "${wrong}"; there are: ${SETS.join(", ")}`);
  process.exit(2);
}

/** @param {string} set */
function subjectsFor(set) {
  if (values.original) {
    return [ORIGINAL];
  }
  return set === "contract" ? [ORIGINAL, OURS] : [OURS];
}

let failed = false;
for (const set of positionals.length > 0 ? positionals : SETS) {
  const files = readdirSync(join(HERE, set))
    .filter((name) => name.endsWith(".test.mjs"))
    .map((name) => join(HERE, set, name));
  for (const subject of subjectsFor(set)) {
    console.log(`\n${set}, against ${subject}`);
    const { status } = spawnSync(
      process.execPath,
      ["--test", "--test-concurrency=2", `--test-reporter=${values.reporter}`, ...files],
      { cwd: HERE, stdio: "inherit", env: { ...process.env, TOKENKEEP_TEST_PACKAGE: subject } },
    );
    failed ||= status !== 0;
  }
}
process.exit(failed ? 1 : 0);
