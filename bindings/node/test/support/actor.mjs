// @ts-check
/**
 * A second process under the test's control: the test sends functions, one after another, and gets their results.
 *
 * The test itself then shows which process does what:
 *
 *     const one = await startActor(t, session.env);
 *     await one.run(async ({ ext, scene, path }) => { scene.store = await ext.FilePersistence.create(path); }, { path });
 *     await one.kill();
 *
 * A function is sent as source text, so it has only its one argument: the package under test as `ext`, `msal`, the
 * tools of `client.mjs` as `tools`, `timed` of `clock.mjs`, the actor's own state as `scene`, and the values that the
 * test passes (any that structured clone accepts). Errors are returned as errors with their class name, code and fields.
 */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { DEADLINE_MS, end, hasEnded, track } from "./processes.mjs";
import { subject } from "./subject.mjs";

const STAGE = fileURLToPath(new URL("actor-stage.mjs", import.meta.url));

/** An error that was thrown in the other process. */
export class ActorError extends Error {
  /** @param {{ name: string, message: string, stack: string, fields: Record<string, unknown> }} thrown */
  constructor({ name, message, stack, fields }) {
    super(message);
    this.name = name;
    /** Own enumerable fields of the original error. @type {Record<string, any>} */
    this.fields = fields;
    /** @type {string | undefined} */
    this.errorCode = /** @type {any} */ (fields.errorCode);
    this.remoteStack = stack;
  }
}

export class Actor {
  #next = 0;
  /** @type {Map<number, (answer: any) => void>} */
  #waiting = new Map();

  /** @param {import("node:child_process").ChildProcess} child */
  constructor(child) {
    this.child = child;
    this.stderr = "";
    child.stderr?.setEncoding("utf8").on("data", (text) => {
      this.stderr += text;
    });
    child.on("message", (/** @type {any} */ answer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    child.on("exit", (code, signal) => {
      const message = `the other process ended with ${signal ?? code}\n${this.stderr}`;
      for (const settle of this.#waiting.values()) {
        settle({ error: { name: "ActorEnded", message, stack: "", fields: { code, signal } } });
      }
      this.#waiting.clear();
    });
  }

  get pid() {
    return /** @type {number} */ (this.child.pid);
  }

  /**
   * Runs a function in the actor and returns its result.
   *
   * @param {(stage: any) => unknown} play
   * @param {Record<string, unknown>} [props] passed to the function beside `ext`, `msal`, `tools`, `timed` and `scene`
   * @param {number} [deadline]
   * @returns {Promise<any>}
   */
  async run(play, props = {}, deadline = DEADLINE_MS) {
    if (hasEnded(this.child)) {
      throw new Error(`the other process has ended already\n${this.stderr}`);
    }
    const id = this.#next++;
    /** @type {any} */
    const answer = await new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`no answer from the other process within ${deadline} ms\n${this.stderr}`));
      }, deadline);
      this.#waiting.set(id, (reply) => {
        clearTimeout(late);
        resolve(reply);
      });
      this.child.send({ id, play: play.toString(), props });
    });
    if (answer.error) {
      throw new ActorError(answer.error);
    }
    return answer.value;
  }

  /** Sends SIGKILL, like the out-of-memory killer. */
  kill() {
    return end(this.child, "SIGKILL");
  }

  /** Ends the process in the ordinary way, without work left. */
  async leave() {
    if (!hasEnded(this.child)) {
      this.child.disconnect();
    }
    await end(this.child);
  }
}

/**
 * @param {import("./scratch.mjs").Scope} scope
 * @param {NodeJS.ProcessEnv} env
 * @param {string} [packageName] the package it uses; by default the one under test
 * @param {string[]} [through] a program that starts it, for example one that forbids a call, with its arguments
 */
export async function startActor(scope, env, packageName = subject, through = []) {
  const [execPath = process.execPath, ...execArgv] = through.length > 0 ? [...through, process.execPath] : [];
  const child = fork(STAGE, {
    env: { ...env, TOKENKEEP_TEST_PACKAGE: packageName },
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    // The actor does not get the test runner's flags (--test, coverage).
    execPath,
    execArgv,
  });
  const actor = new Actor(track(child));
  scope.after(() => end(child, "SIGKILL"));
  await actor.run(() => {});
  return actor;
}
