// @ts-check
/**
 * Runs a command in a private session: `node support/in-session.mjs [kind] -- program argument ...`
 *
 * For experiments by hand; the kinds are those of `session.mjs`, by default "keyring".
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { startSession } from "./session.mjs";

const separator = process.argv.indexOf("--");
const [kind = "keyring"] = process.argv.slice(2, separator);
const [program, ...args] = process.argv.slice(separator + 1);
if (separator < 0 || !program) {
  console.error("usage: node support/in-session.mjs [kind] -- program argument ...");
  process.exit(2);
}

/** @type {(() => unknown)[]} */
const ends = [];
const session = await startSession({ after: (end) => ends.unshift(end) }, /** @type {any} */ (kind));
const child = spawn(program, args, { env: session.env, stdio: "inherit" });
const [code, signal] = await once(child, "exit");
for (const end of ends) {
  await end();
}
process.exit(signal ? 1 : code);
