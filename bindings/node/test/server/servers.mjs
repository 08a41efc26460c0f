// @ts-check
/**
 * Redis, Valkey and PostgreSQL for tests: each started on loopback in a directory of its own, and stopped at the test's end.
 */
import { execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { end, track } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";

/** @typedef {import("../support/scratch.mjs").Scope} Scope */

/** How long a server may take to come up on a busy machine, in milliseconds. */
const PATIENCE = 30_000;

/** A port that was free a moment ago. @returns {Promise<number>} */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = /** @type {import("node:net").AddressInfo} */ (probe.address());
      probe.close(() => resolve(port));
    });
  });
}

/** The programs that speak Redis' protocol, by name. */
const PROGRAMS = {
  redis: () => "redis-server",
  valkey: () => {
    const path = process.env.TOKENKEEP_TEST_VALKEY;
    if (!path) {
      throw new Error(
        "TOKENKEEP_TEST_VALKEY names no valkey-server: run the stage with cargo xtask test --only server",
      );
    }
    return path;
  },
};

/** @typedef {keyof typeof PROGRAMS} RedisKind */

/**
 * A running server of Redis' protocol. `stop` keeps its directory, `start` begins again on the same port.
 *
 * @param {Scope} scope
 * @param {RedisKind} [kind]
 * @param {string[]} [more] further arguments
 */
export async function redisServer(scope, kind = "redis", more = []) {
  const directory = await scratchDirectory(scope);
  const port = await freePort();
  const place = ["--bind", "127.0.0.1", "--port", String(port), "--dir", directory];
  const words = [...place, "--save", "", ...more];
  if (more.includes("--sentinel")) {
    // A Sentinel writes what it learns into its configuration, and saves nothing else.
    const configuration = join(directory, "sentinel.conf");
    writeFileSync(configuration, "");
    words.splice(0, words.length, configuration, ...place, ...more);
  }
  /** @type {import("node:child_process").ChildProcess | undefined} */
  let child;
  const server = {
    port,
    directory,
    url: `redis://127.0.0.1:${port}`,
    get pid() {
      return child?.pid;
    },
    async start() {
      child = track(spawn(PROGRAMS[kind](), words, { stdio: ["ignore", "pipe", "inherit"] }));
      await said(child, /Ready to accept connections|Sentinel ID is/);
    },
    /** @param {NodeJS.Signals} [signal] */
    async stop(signal) {
      if (child) {
        child.kill("SIGCONT");
        await end(child, signal);
      }
    },
    /** @param {NodeJS.Signals} signal */
    signal(signal) {
      child?.kill(signal);
    },
  };
  scope.after(() => server.stop("SIGKILL"));
  await server.start();
  return server;
}

/** @param {import("node:child_process").ChildProcess} child @param {RegExp} pattern */
function said(child, pattern) {
  return new Promise((resolve, reject) => {
    let text = "";
    const late = setTimeout(
      () => reject(new Error(`the server did not come up; it said:\n${text}`)),
      PATIENCE,
    );
    child.stdout?.setEncoding("utf8").on("data", (piece) => {
      text += piece;
      if (pattern.test(text)) {
        clearTimeout(late);
        text = "";
        resolve(undefined);
      }
    });
    child.once("exit", (code) => {
      clearTimeout(late);
      reject(new Error(`the server ended (${code}); it said:\n${text}`));
    });
  });
}

/** The folder of PostgreSQL's programs: Debian keeps them out of the path. */
function postgresPrograms() {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).sort((one, two) => Number(two) - Number(one)) : [];
  const folder = versions
    .map((version) => join(root, version, "bin"))
    .find((bin) => existsSync(join(bin, "initdb")));
  if (folder === undefined) {
    throw new Error("PostgreSQL is not installed: sudo apt-get install -y postgresql");
  }
  return folder;
}

/**
 * A running PostgreSQL; gives the options of a pool.
 *
 * @param {Scope} scope
 */
export async function postgresServer(scope) {
  const bin = postgresPrograms();
  const directory = await scratchDirectory(scope);
  const port = await freePort();
  // It refuses to run as root.
  const user = process.getuid?.() === 0 ? idsOf("postgres") : undefined;
  if (user) {
    chownSync(directory, user.uid, user.gid);
  }
  const data = join(directory, "data");
  const options = /** @type {const} */ ({ stdio: "pipe", cwd: directory, ...user });
  execFileSync(join(bin, "initdb"), ["-D", data, "-A", "trust", "-U", "tests", "--no-sync"], options);
  const words = ["-D", data, "-k", directory, "-p", String(port), "-c", "listen_addresses=127.0.0.1"];
  /** @type {import("node:child_process").ChildProcess | undefined} */
  let child;
  const server = {
    port,
    pool: { host: "127.0.0.1", port, user: "tests", database: "postgres" },
    async start() {
      child = track(
        spawn(join(bin, "postgres"), words, { ...user, cwd: directory, stdio: ["ignore", "ignore", "pipe"] }),
      );
      await said(
        /** @type {any} */ ({ stdout: child.stderr, once: child.once.bind(child) }),
        /ready to accept connections/,
      );
    },
    /** @param {NodeJS.Signals} [signal] */
    async stop(signal = "SIGINT") {
      if (child) {
        child.kill("SIGCONT");
        await end(child, signal);
      }
    },
    /** @param {NodeJS.Signals} signal */
    signal(signal) {
      child?.kill(signal);
    },
  };
  scope.after(() => server.stop("SIGQUIT"));
  await server.start();
  return server;
}

/** @param {string} name @returns {{ uid: number, gid: number }} */
function idsOf(name) {
  const id = (/** @type {string} */ option) =>
    Number(execFileSync("id", [option, name], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}
