// @ts-check
/** Runs programs as other users, and gives them files: as root, directly or by a sudo without a password. */
import { execFileSync } from "node:child_process";
import { run } from "./processes.mjs";

const isRoot = process.getuid?.() === 0;

/** @param {string[]} words */
function asRoot(words) {
  return isRoot ? words : ["sudo", "-n", ...words];
}

/** Runs a command as root at once; its failure says that the test needs root. @param {string[]} words */
export function privileged(...words) {
  const [program = "", ...args] = asRoot(words);
  try {
    execFileSync(program, args, { stdio: "pipe" });
  } catch (error) {
    throw new Error(`${error}: this test changes owners: run it as root, or allow sudo without a password`);
  }
}

/**
 * Runs a program as the user and group of this number, without further groups.
 *
 * @param {number} user
 * @param {string[]} words
 * @param {Parameters<typeof run>[2]} options
 */
export function runAs(user, words, options) {
  const env = Object.entries(options?.env ?? {}).map(([name, value]) => `${name}=${value}`);
  const [program = "", ...args] = asRoot([
    "setpriv",
    `--reuid=${user}`,
    `--regid=${user}`,
    "--clear-groups",
    "--inh-caps=-all",
    "env",
    "-i",
    ...env,
    ...words,
  ]);
  return run(program, args, options);
}
