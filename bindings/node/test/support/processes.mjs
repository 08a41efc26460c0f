// @ts-check
/**
 * Child processes with a deadline, killed by their own pid.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";

/** Ends a hung child. Far longer than the slowest correct child takes on a busy machine. */
export const DEADLINE_MS = 120_000;

/** The running children, so that a crashed test process leaves none behind. */
const alive = new Set();
process.on("exit", () => {
  for (const child of alive) {
    child.kill("SIGKILL");
  }
});

/**
 * Tracks the child until it ends.
 *
 * @template {import("node:child_process").ChildProcess} Child
 * @param {Child} child
 */
export function track(child) {
  alive.add(child);
  child.once("exit", () => alive.delete(child));
  return child;
}

/**
 * Prints the output of a service that ended by itself, because its crash would look like a fault of the package.
 *
 * @param {import("node:child_process").ChildProcess} child whose error output is a pipe
 * @param {string} name
 */
export function tellOfACrash(child, name) {
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    said = (said + text).slice(-65_536);
  });
  child.once("close", (code, signal) => {
    if (!child.killed) {
      console.error(`${name} ended by itself (${signal ?? code}); it said:\n${said.trimEnd()}`);
    }
  });
}

/** @param {import("node:child_process").ChildProcess} child */
export function hasEnded(child) {
  return child.exitCode !== null || child.signalCode !== null;
}

/**
 * Ends a child by its pid and waits for the end; kills a child that ignores the signal for two seconds.
 *
 * @param {import("node:child_process").ChildProcess} child
 * @param {NodeJS.Signals} [signal]
 */
export async function end(child, signal = "SIGTERM") {
  if (child.pid === undefined || hasEnded(child)) {
    return;
  }
  const gone = once(child, "exit");
  child.kill(signal);
  const insist = setTimeout(() => child.kill("SIGKILL"), 2_000);
  await gone;
  clearTimeout(insist);
}

/**
 * @typedef {object} Outcome
 * @property {number | null} code
 * @property {NodeJS.Signals | null} signal
 * @property {string} stdout
 * @property {string} stderr
 */

/**
 * Runs a program to its end. Rejects if it cannot be started or exceeds its deadline; a non-zero exit is a result.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, cwd?: string, input?: string, deadline?: number }} [options]
 * @returns {Promise<Outcome>}
 */
export function run(program, args, options = {}) {
  const { env, cwd, input = "", deadline = DEADLINE_MS } = options;
  return new Promise((resolve, reject) => {
    const child = track(spawn(program, args, { env, cwd, stdio: ["pipe", "pipe", "pipe"] }));
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      stderr += text;
    });
    // A child may end before it has read its input. Its exit is then more informative than EPIPE.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    const late = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`${program} ${args.join(" ")} did not end within ${deadline} ms\n${stderr}`));
    }, deadline);
    child.once("error", (error) => {
      clearTimeout(late);
      reject(error);
    });
    child.once("close", (code, signal) => {
      clearTimeout(late);
      resolve({ code, signal, stdout, stderr });
    });
  });
}

/**
 * Runs a program that must succeed and returns its output.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {Parameters<typeof run>[2]} [options]
 */
export async function output(program, args, options) {
  const { code, signal, stdout, stderr } = await run(program, args, options);
  if (code !== 0) {
    throw new Error(`${program} ${args.join(" ")} ended with ${signal ?? code}\n${stderr}${stdout}`);
  }
  return stdout;
}

/**
 * Repeats a condition until it is true; throws at the deadline.
 *
 * @param {string} what named in the error
 * @param {() => Promise<boolean> | boolean} condition
 * @param {{ deadline?: number, every?: number }} [options]
 */
export async function until(what, condition, { deadline = DEADLINE_MS, every = 20 } = {}) {
  const last = performance.now() + deadline;
  while (!(await condition())) {
    if (performance.now() > last) {
      throw new Error(`${what}: not within ${deadline} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}
