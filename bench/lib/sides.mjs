// @ts-check
/**
 * Starts the measured programs: each in its own process, on a new file on a real disk, with a time limit.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { track } from "../../bindings/node/test/support/processes.mjs";

const DEADLINE_MS = 240_000;

/** @param {string} name a variable that `cargo xtask bench` sets */
function required(name) {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set; start this with: cargo xtask bench`);
  }
  return value;
}

/** A folder on the disk that is measured, not in memory. */
const SCRATCH = required("TOKENKEEP_BENCH_SCRATCH");

/** @param {string} name */
const program = (name) => fileURLToPath(new URL(`../programs/${name}`, import.meta.url));

/**
 * Calls `work` with a new directory and deletes the directory afterwards.
 *
 * @template T
 * @param {(directory: string) => Promise<T>} work
 */
export async function inDirectory(work) {
  mkdirSync(SCRATCH, { recursive: true });
  const directory = mkdtempSync(join(SCRATCH, "b-"));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A started program, which prints JSON, one value a line. */
export class Running {
  /** @param {string} command @param {string[]} words @param {NodeJS.ProcessEnv} env */
  constructor(command, words, env) {
    this.name = [command, ...words].join(" ");
    this.child = track(spawn(command, words, { env, stdio: ["pipe", "pipe", "pipe"] }));
    this.child.stdin.on("error", () => {});
    this.errors = "";
    this.child.stderr.setEncoding("utf8").on("data", (text) => {
      this.errors += text;
    });
    this.late = setTimeout(() => this.child.kill("SIGKILL"), DEADLINE_MS);
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    this.child.once("close", () => clearTimeout(this.late));
  }

  /** Returns the next value that the program prints. @returns {Promise<any>} */
  async next() {
    const { value, done } = await this.lines.next();
    if (done) {
      throw new Error(`${this.name} ended without a result\n${this.errors}`);
    }
    return JSON.parse(value);
  }

  go() {
    this.child.stdin.write("go\n");
  }
}

/**
 * @param {string} name of a program in JavaScript
 * @param {object} specification
 * @param {NodeJS.ProcessEnv} [env]
 * @param {string[]} [flags] of Node.js
 */
export function node(name, specification, env = process.env, flags = []) {
  return new Running(
    process.execPath,
    [...flags, program(name), JSON.stringify(specification)],
    forPrograms(env),
  );
}

/** @param {object} specification @param {NodeJS.ProcessEnv} [env] */
export function python(specification, env = process.env) {
  return new Running(
    required("TOKENKEEP_PYTHON"),
    [program("cycles.py"), JSON.stringify(specification)],
    env,
  );
}

/** @param {object} specification of `tokens.py` */
export function tokens(specification) {
  const words = [program("tokens.py"), JSON.stringify(specification)];
  return new Running(required("TOKENKEEP_PYTHON"), words, withPackage());
}

/** Returns the milliseconds of a Python that imports a module and ends. @param {string} module */
export async function pythonStart(module) {
  const began = performance.now();
  await new Running(
    required("TOKENKEEP_PYTHON"),
    ["-c", `import ${module}; print(1, flush=True)`],
    withPackage(),
  ).next();
  return performance.now() - began;
}

function withPackage() {
  return { ...process.env, PYTHONPATH: required("TOKENKEEP_BENCH_PYTHON_PACKAGE") };
}

/** @param {object} specification @param {NodeJS.ProcessEnv} [env] */
export function go(specification, env = process.env) {
  return new Running(required("TOKENKEEP_BENCH_GO"), [JSON.stringify(specification)], env);
}

/** Returns the packed packages of tokenkeep for this platform. */
export function tarballs() {
  const folder = required("TOKENKEEP_BENCH_TARBALLS");
  return readdirSync(folder)
    .filter((name) => name.endsWith(".tgz"))
    .map((name) => join(folder, name));
}

/** @param {string[]} words @param {NodeJS.ProcessEnv} [env] */
export function bare(words, env = process.env) {
  return new Running(required("TOKENKEEP_BENCH_BARE"), words, env);
}

/** @param {string[]} words */
export function heap(words) {
  return new Running(required("TOKENKEEP_BENCH_HEAP"), words, process.env);
}

/** Adds the variables with the built packages, which a private session does not have. @param {NodeJS.ProcessEnv} env */
function forPrograms(env) {
  return { ...env, TOKENKEEP_BENCH_PACKAGE: required("TOKENKEEP_BENCH_PACKAGE") };
}
