// @ts-check
/**
 * The processes of a mixed run. Each signs in a number of accounts on one cache file and keeps a journal of the
 * content it saw, its writes and its acknowledged sign-ins. All clocks are CLOCK_MONOTONIC in nanoseconds, so the
 * journals are comparable.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { startActor } from "../support/actor.mjs";
import { end, track } from "../support/processes.mjs";
import { ORIGINAL, OURS } from "../support/subject.mjs";
import { python, signer } from "./programs.mjs";

/**
 * @typedef {"node" | "rust" | "original" | "python" | "portalocker"} Kind
 *
 * @typedef {{ at: "signed-in", person: string, id: string, begun: number, time: number }} SignedIn acknowledged; `id` is the
 *   home account id
 * @typedef {{ at: "failed", person: string, time: number, error: string }} Failed
 * @typedef {{ at: "wrote", entered: number, saving: number, saved: number, there: string[] | null, found: string[],
 *   wrote: string[], met: string | null }} Wrote one critical section: who was inside already, what lay in the file
 *   then (null: no whole cache), what it took that to be, what it wrote; each as entries, see `judge.mjs`
 * @typedef {{ at: "read", reads: number, busy: number, damaged: number, unreadable: string[], shrunk: number }} Read
 * @typedef {SignedIn | Failed | Wrote} Entry
 *
 * @typedef {{ name: string, kind: Kind, play: () => Promise<Entry[]> }} Member
 * @typedef {{ path: string, witness: string, count: number, pause: number, deadline: number }} Work `pause`: at most so many
 *   milliseconds between two sign-ins of Node and Python, who are crowded out by Rust otherwise
 * @typedef {import("../support/scratch.mjs").Scope & { env: NodeJS.ProcessEnv }} Place
 */

/** Returns whether a process is of tokenkeep. @param {string} kind */
export const isOurs = (kind) => kind === "node" || kind === "rust";

/** The default limit, with more frequent tries, so that processes collide. */
const LOCK = { retryNumber: 5_000, retryDelay: 10 };

/** @param {Place} place @param {Kind} kind @param {string} name @param {Work} work @returns {Promise<Member>} */
export async function enlist(place, kind, name, work) {
  const { path, witness, count, pause } = work;
  const args = [path, witness, name, String(count)];
  switch (kind) {
    case "node":
      return nodeMember(place, kind, OURS, name, work);
    case "original":
      return nodeMember(place, kind, ORIGINAL, name, work);
    case "rust":
      return programMember(place, kind, name, work, signer(), ["sign-in", ...args]);
    case "python":
      return programMember(place, kind, name, work, python(), [
        PYTHON,
        ...args,
        String(pause),
        "without-portalocker",
      ]);
    case "portalocker":
      return programMember(place, kind, name, work, python(), [PYTHON, ...args, String(pause)]);
  }
}

const PYTHON = fileURLToPath(new URL("signer.py", import.meta.url));

/** The lock class that each Python must use, to check that portalocker is really absent. */
const PYTHON_LOCK = /** @type {Record<string, string>} */ ({
  python: "msal_extensions.filelock",
  portalocker: "msal_extensions.cache_lock",
});

/** @param {Place} place @param {Kind} kind @param {string} packageName @param {string} name @param {Work} work @returns {Promise<Member>} */
async function nodeMember(place, kind, packageName, name, work) {
  const actor = await startActor(place, place.env, packageName);
  await actor.run(openWatched, { ...work, name, lock: LOCK });
  return { name, kind, play: () => actor.run(signInAll, { ...work, name }, work.deadline) };
}

/** Runs in the actor: opens a real msal-node client with the package's own plugin, observed from outside. */
const openWatched = async (/** @type {any} */ { tools, scene, path, witness, name, lock }) => {
  const { readFileSync, readlinkSync, symlinkSync, unlinkSync } = await import("node:fs");
  const now = () => Number(process.hrtime.bigint());
  /** Like `entries` in judge.mjs, which this function cannot reach. @param {string} text */
  const entries = (text) => {
    /** @type {Record<string, Record<string, any>>} */
    const { Account = {}, RefreshToken = {} } = JSON.parse(text);
    /** @param {string} what @param {Record<string, any>} section */
    const ids = (what, section) => Object.values(section).map((entry) => `${what} ${entry.home_account_id}`);
    return [...ids("account", Account), ...ids("token", RefreshToken)];
  };
  const enter = () => {
    try {
      symlinkSync(name, witness);
      return null;
    } catch (/** @type {any} */ error) {
      if (error.code !== "EEXIST") {
        throw error;
      }
    }
    try {
      return readlinkSync(witness);
    } catch {
      // The other process may remove the link between the two calls; it was inside all the same.
      return "unknown";
    }
  };
  const look = () => {
    try {
      return entries(readFileSync(path, "utf8"));
    } catch {
      // A sibling is writing in place at this moment.
      return null;
    }
  };
  scene.journal = [];
  const plugin = await tools.createPlugin({ kind: "FilePersistence", cachePath: path }, lock);
  /** @type {any} */
  let moment;
  const watched = {
    beforeCacheAccess: async (/** @type {any} */ context) => {
      moment = undefined;
      await plugin.beforeCacheAccess(context);
      if (context.cacheHasChanged) {
        const met = enter();
        const entered = now();
        moment = { at: "wrote", entered, met, there: look(), found: entries(context.tokenCache.serialize()) };
      }
    },
    afterCacheAccess: async (/** @type {any} */ context) => {
      const mine = context.cacheHasChanged ? moment : undefined;
      if (mine) {
        mine.wrote = entries(context.tokenCache.serialize());
        mine.saving = now();
        if (mine.met === null) {
          unlinkSync(witness);
        }
      }
      await plugin.afterCacheAccess(context);
      if (mine) {
        scene.journal.push({ ...mine, saved: now() });
      }
    },
  };
  scene.client = tools.createClient(watched, new tools.SignInService());
};

const signInAll = async (/** @type {any} */ { tools, scene, name, count, pause }) => {
  const now = () => Number(process.hrtime.bigint());
  for (let index = 0; index < count; index++) {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * pause));
    const person = `${name}-${index}@contoso.example`;
    const begun = now();
    try {
      const { account } = await tools.signInWithRefreshToken(scene.client, person);
      scene.journal.push({ at: "signed-in", person, id: account.homeAccountId, begun, time: now() });
    } catch (/** @type {any} */ error) {
      scene.journal.push({
        at: "failed",
        person,
        time: now(),
        error: `${error.errorCode ?? error.name}: ${error.message}`,
      });
    }
  }
  return scene.journal;
};

/** @param {Place} place @param {Kind} kind @param {string} name @param {Work} work @param {string} program @param {string[]} args @returns {Promise<Member>} */
async function programMember(place, kind, name, { deadline }, program, args) {
  const child = await startProgram(place, program, args);
  const { lock } = await child.ready;
  if (lock !== PYTHON_LOCK[kind]) {
    throw new Error(`${name} came with the lock ${lock}`);
  }
  return { name, kind, play: () => child.finish("go\n", deadline) };
}

/** Starts a process of tokenkeep that reads all the time. @param {Place} place @param {Work} work */
export async function startReader(place, { path, deadline }) {
  const child = await startProgram(place, signer(), ["read", path]);
  await child.ready;
  return {
    /** @returns {Promise<Read>} */
    stop: async () => (await child.finish("", deadline))[0],
  };
}

/** @param {Place} place @param {string} program @param {string[]} args */
async function startProgram(place, program, args) {
  const child = track(spawn(program, args, { env: place.env, stdio: ["pipe", "pipe", "pipe"] }));
  place.after(() => end(child, "SIGKILL"));
  // Its exit code is more informative than EPIPE.
  child.stdin.on("error", () => {});
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  /** @type {any[]} */
  const lines = [];
  /** @type {(line: any) => void} */
  let isReady = () => {};
  const ready = new Promise((resolve) => {
    isReady = resolve;
  });
  createInterface({ input: child.stdout }).on("line", (text) => {
    const line = JSON.parse(text);
    if (line.at === "ready") {
      isReady(line);
    } else {
      lines.push(line);
    }
  });
  const closed = new Promise((resolve) => child.once("close", resolve));
  const failed = async () => {
    await closed;
    throw new Error(`${program} ended early\n${JSON.stringify(lines)}\n${stderr}`);
  };
  return {
    ready: Promise.race([ready, failed()]),
    /** @param {string} input @param {number} deadline */
    finish: async (input, deadline) => {
      child.stdin.end(input);
      const late = setTimeout(() => child.kill("SIGKILL"), deadline);
      await closed;
      clearTimeout(late);
      if (child.exitCode !== 0) {
        const how = child.signalCode ?? child.exitCode;
        throw new Error(`${program} ended with ${how}: ${JSON.stringify(lines.at(-1))}\n${stderr}`);
      }
      return lines;
    },
  };
}
