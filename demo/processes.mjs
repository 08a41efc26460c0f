// @ts-check
/**
 * The processes of the demo: starts them, sends them actions, kills them by pid. Every wait has a limit.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const ACTOR = fileURLToPath(new URL("actor.mjs", import.meta.url));
const RESOLVE_HOOK = new URL("resolve-hook.mjs", import.meta.url).href;

/** @type {Set<DemoProcess>} */
const running = new Set();
process.on("exit", () => {
  for (const started of running) {
    started.child.kill("SIGKILL");
  }
});

/** One process. */
export class DemoProcess {
  /**
   * @param {NodeJS.ProcessEnv} env
   * @param {{ deadline: number, onMessage: (text: string) => void }} options
   */
  constructor(env, { deadline, onMessage }) {
    const execArgv = env.TOKENKEEP_DEMO_PACKAGE ? ["--import", RESOLVE_HOOK] : [];
    this.child = fork(ACTOR, { env, execArgv, stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.deadline = deadline;
    this.onMessage = onMessage;
    running.add(this);
    this.child.once("exit", () => running.delete(this));
  }

  get pid() {
    return this.child.pid;
  }

  /**
   * Sends one action and waits for its result.
   *
   * @param {string} action
   * @param {object} [argument]
   * @returns {Promise<any>}
   */
  async ask(action, argument = {}) {
    return new Promise((resolve, reject) => {
      /** @param {() => void} settle */
      const finish = (settle) => {
        clearTimeout(late);
        this.child.off("message", hear).off("exit", gone);
        settle();
      };
      const hear = (/** @type {any} */ answer) => {
        if (answer.message !== undefined) {
          this.onMessage(answer.message);
        } else if (answer.error !== undefined) {
          finish(() => reject(new Error(answer.error)));
        } else {
          finish(() => resolve(answer.value));
        }
      };
      const gone = (/** @type {number | null} */ code, /** @type {string | null} */ signal) =>
        finish(() => reject(new Error(`process ${this.pid} ended with ${signal ?? code} during ${action}`)));
      const late = setTimeout(
        () => finish(() => reject(new Error(`${action} took longer than ${this.deadline / 1000} s`))),
        this.deadline,
      );
      this.child.on("message", hear).on("exit", gone);
      this.child.send({ action, argument });
    });
  }

  async kill() {
    const gone = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await gone;
  }
}
