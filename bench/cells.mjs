// @ts-check
/**
 * Defines what is measured: cells, each with sides that do the same work. One run of a side is one round. It returns
 * one number for each metric, the median of its samples.
 */
import { join } from "node:path";
import { startSession } from "../bindings/node/test/support/session.mjs";
import { cacheOfAccounts } from "./lib/content.mjs";
import { median, quantile, size } from "./lib/figures.mjs";
import { install } from "./lib/install.mjs";
import { bare, go, heap, inDirectory, node, python, tarballs } from "./lib/sides.mjs";
import { pythonCells } from "./python-cells.mjs";
import { serverCells } from "./server-cells.mjs";

/** @typedef {Record<string, number>} Figures */
/**
 * @typedef {object} Cell
 * @property {string} group
 * @property {string} name
 * @property {number} [x] what the group's cells differ in, for plots
 * @property {string} unit
 * @property {number} [rounds] as many suffice
 * @property {Record<string, () => Promise<Figures>>} sides
 */

export const OURS = "tokenkeep";
export const CACHED = "tokenkeep, cached";
export const ORIGINAL = "original 5.6.0";
export const PYTHON = "Python 1.3.1";
export const GO = "Go 0.1.1";
export const BARE = "bare calls";
export const BARE_CACHED = "bare calls, cached";

const KB = 1024;
const SIZES = [4 * KB, 100 * KB, 1024 * KB, 5 * 1024 * KB];

/** @typedef {{ quick: boolean }} Options */

/** @param {Options} options @returns {Cell[]} */
export function cells(options) {
  const sizes = options.quick ? [4 * KB, 1024 * KB] : SIZES;
  return [
    ...["unchanged", "reload", "write"].flatMap((operation) =>
      sizes.flatMap((bytes) => [
        fileCycles(operation, bytes, options),
        ...(operation === "unchanged" && bytes !== 4 * KB ? [] : [keyringCycles(operation, bytes, options)]),
      ]),
    ),
    ...(options.quick ? [4 * KB] : [4 * KB, 100 * KB]).flatMap((bytes) => [
      rawStore("set", bytes),
      rawStore("get", bytes),
    ]),
    ...(options.quick ? [4] : [1, 2, 4, 8]).map((processes) => contention(processes)),
    ...(options.quick ? [50] : [1, 10, 50, 200]).map((cycles) => crowd(cycles)),
    ...start(),
    memory(),
    merging(),
    ...pythonCells(options),
    ...serverCells(options),
    ...(options.quick ? [] : [installation(), ...growth()]),
  ];
}

/** @param {string} operation @param {number} bytes @param {Options} options */
function samplesFor(operation, bytes, { quick }) {
  const samples = operation === "unchanged" ? 10 : bytes > 4 << 20 ? 9 : 25;
  return quick ? Math.ceil(samples / 3) : samples;
}

/** @param {import("./lib/sides.mjs").Running} running */
async function middle(running) {
  return { ms: median(await running.next()) };
}

/** @param {string} operation @param {number} bytes @param {Options} options @returns {Cell} */
function fileCycles(operation, bytes, options) {
  const samples = samplesFor(operation, bytes, options);
  /** @param {object} more */
  const cycles = (more) => () =>
    inDirectory((directory) =>
      middle(
        node("cycles.mjs", {
          store: "file",
          path: join(directory, "cache"),
          operation,
          bytes,
          samples,
          ...more,
        }),
      ),
    );
  /** @param {string} durability */
  const bareCalls = (durability) => () =>
    inDirectory((directory) =>
      middle(bare(["file", join(directory, "cache"), String(bytes), durability, String(samples)])),
    );
  /** @type {Cell["sides"]} */
  const sides = {
    [OURS]: cycles({ package: "tokenkeep" }),
    [ORIGINAL]: cycles({ package: "original" }),
  };
  if (operation === "write") {
    sides[CACHED] = cycles({ package: "tokenkeep", durability: "cached" });
    sides[PYTHON] = () =>
      inDirectory((directory) =>
        middle(python({ operation: "write", path: join(directory, "cache"), bytes, samples })),
      );
    sides[GO] = () =>
      inDirectory((directory) => middle(go({ path: join(directory, "cache"), bytes, samples })));
    sides[BARE] = bareCalls("synced");
    sides[BARE_CACHED] = bareCalls("cached");
  }
  return { group: `file ${operation}`, name: size(bytes), x: bytes, unit: "ms", sides };
}

/**
 * Calls `work` in a private session with its own unlocked keyring.
 *
 * @template T
 * @param {(env: NodeJS.ProcessEnv, directory: string) => Promise<T>} work
 * @param {import("../bindings/node/test/support/session.mjs").SessionKind} [kind]
 */
async function inSession(work, kind = "keyring") {
  /** @type {(() => unknown)[]} */
  const ends = [];
  try {
    const session = await startSession({ after: (end) => ends.unshift(end) }, kind);
    return await inDirectory((directory) => work(session.env, directory));
  } finally {
    for (const end of ends) {
      await end();
    }
  }
}

/** @param {string} operation @param {number} bytes @param {Options} options @returns {Cell} */
function keyringCycles(operation, bytes, options) {
  const samples = samplesFor(operation, bytes, options);
  /** @param {string} packageName */
  const cycles = (packageName) => () =>
    inSession((env, directory) => {
      const path = join(directory, "cache");
      return middle(
        node("cycles.mjs", { package: packageName, store: "keyring", path, operation, bytes, samples }, env),
      );
    });
  /** @type {Cell["sides"]} */
  const sides = { [OURS]: cycles("tokenkeep"), [ORIGINAL]: cycles("original") };
  if (operation !== "unchanged") {
    const message = operation === "write" ? "set" : "get";
    sides[BARE] = () =>
      inSession((env) => middle(bare(["secret-service", message, String(bytes), String(samples)], env)));
  }
  return { group: `keyring ${operation}`, name: size(bytes), x: bytes, unit: "ms", sides };
}

/** @param {string} operation @param {number} bytes @returns {Cell} */
function rawStore(operation, bytes) {
  /** @param {string} packageName */
  const calls = (packageName) => () =>
    inSession((env, directory) => {
      const path = join(directory, "cache");
      return middle(
        node("raw-store.mjs", { package: packageName, path, operation, bytes, samples: 15 }, env),
      );
    });
  return {
    group: `raw item ${operation}`,
    name: size(bytes),
    x: bytes,
    unit: "ms",
    sides: { [OURS]: calls("tokenkeep"), keytar: calls("keytar"), "@napi-rs/keyring": calls("napi-keyring") },
  };
}

/** @param {number} processes @returns {Cell} */
function contention(processes) {
  const writes = 200;
  /** @param {(specification: object) => import("./lib/sides.mjs").Running} starter */
  const crew = (starter) => () =>
    inDirectory(async (directory) => {
      const path = join(directory, "cache");
      const running = Array.from({ length: processes }, (_, n) =>
        starter({ operation: "contend", path, name: `p${n}`, writes }),
      );
      for (const one of running) {
        await one.next();
      }
      for (const one of running) {
        one.go();
      }
      const results = [];
      for (const one of running) {
        results.push(await one.next());
      }
      if (results.every(({ failures }) => failures >= writes)) {
        throw new Error("every write of a side failed: how long that takes is no figure");
      }
      const counted = await countIn(path);
      const took = results.map(({ began, ended }) => ended - began);
      const waits = results.flatMap((result) => result.waits);
      return {
        ms: Math.max(...results.map(({ ended }) => ended)) - Math.min(...results.map(({ began }) => began)),
        "wait p50": median(waits),
        "wait p99": quantile(waits, 0.99),
        "wait max": Math.max(...waits),
        "slowest/fastest": Math.max(...took) / Math.min(...took),
        lost: processes * writes - counted,
        failed: results.reduce((sum, { failures }) => sum + failures, 0),
      };
    });
  return {
    group: "contention",
    name: `${processes} processes × ${writes} writes`,
    x: processes,
    unit: "ms",
    sides: {
      [OURS]: crew((spec) => node("contender.mjs", { ...spec, package: "tokenkeep", store: "file" })),
      [CACHED]: crew((spec) =>
        node("contender.mjs", { ...spec, package: "tokenkeep", store: "file", durability: "cached" }),
      ),
      [ORIGINAL]: crew((spec) => node("contender.mjs", { ...spec, package: "original", store: "file" })),
      [PYTHON]: crew((spec) => python({ ...spec, bytes: 0, samples: 0 })),
    },
  };
}

/** Returns the sum of all counters in a cache; 0 for an unreadable cache. @param {string} path */
async function countIn(path) {
  const { readFile } = await import("node:fs/promises");
  try {
    const cache = JSON.parse(await readFile(path, "utf8"));
    const entries = Object.values(cache.Account ?? {});
    return entries.reduce((sum, entry) => sum + Number(entry.local_account_id), 0);
  } catch {
    return 0;
  }
}

/** @param {number} cycles @returns {Cell} */
function crowd(cycles) {
  /** @param {object} more */
  const all = (more) => () =>
    inDirectory(async (directory) => {
      const spec = { store: "file", path: join(directory, "cache"), cycles, ...more };
      return { ms: await node("crowd.mjs", spec).next() };
    });
  return {
    group: "one process",
    name: `${cycles} cycles at once`,
    x: cycles,
    unit: "ms",
    sides: {
      [OURS]: all({ package: "tokenkeep" }),
      [CACHED]: all({ package: "tokenkeep", durability: "cached" }),
      [ORIGINAL]: all({ package: "original" }),
    },
  };
}

/** @returns {Cell[]} */
function start() {
  const starts = 7;
  /**
   * @param {string} packageName
   * @param {string} module
   * @param {import("../bindings/node/test/support/session.mjs").SessionKind} kind
   * @param {boolean} plaintext
   */
  const begin = (packageName, module, kind, plaintext) => () =>
    inSession(async (env, directory) => {
      const rounds = [];
      for (let n = 0; n < starts; n += 1) {
        const path = join(directory, `cache-${n}`);
        rounds.push(await node("start.mjs", { package: packageName, module, path, plaintext }, env).next());
      }
      return {
        import: median(rounds.map((round) => round.import)),
        "first createPersistence": median(rounds.map((round) => round.create)),
        "first read": median(rounds.map((round) => round.firstRead)),
      };
    }, kind);
  /** @type {[string, string, "none" | "keyring", boolean][]} */
  const situations = [
    ["require, no bus, plaintext file", "cjs", "none", true],
    ["import, no bus, plaintext file", "esm", "none", true],
    ["require, no bus, error", "cjs", "none", false],
    ["require, keyring", "cjs", "keyring", false],
  ];
  return situations.map(([name, module, kind, plaintext]) => ({
    group: "start",
    name,
    unit: "ms",
    sides: {
      [OURS]: begin("tokenkeep", module, kind, plaintext),
      [ORIGINAL]: begin("original", module, kind, plaintext),
    },
  }));
}

/** @returns {Cell} */
function memory() {
  const bytes = 5 << 20;
  /** @param {string} packageName */
  const peak = (packageName) => () =>
    inDirectory(async (directory) => {
      const spec = { package: packageName, store: "file", path: join(directory, "cache"), bytes };
      return { MB: (await node("memory.mjs", spec).next()) / (1 << 20) };
    });
  return {
    group: "memory",
    name: "peak resident set, 5 MB cache",
    unit: "MB",
    sides: { [OURS]: peak("tokenkeep"), [ORIGINAL]: peak("original"), "no plugin": peak("none") },
  };
}

/** The memory that the core's merge takes beside its three input texts. @returns {Cell} */
function merging() {
  return {
    group: "heap",
    name: "merge of three texts of 5 MB",
    unit: "of the texts",
    // Every round takes the same memory.
    rounds: 1,
    sides: {
      [OURS]: async () => {
        const { texts, peak } = await heap(["5242880"]).next();
        return { "of the texts": peak / texts };
      },
    },
  };
}

/** The size of an installation, without msal-node itself. @returns {Cell} */
function installation() {
  return {
    group: "install",
    name: "npm install in an empty folder",
    unit: "ms",
    // The original compiles its addon in each round.
    rounds: 3,
    sides: {
      [OURS]: () => install(tarballs()),
      [ORIGINAL]: () => install(["@azure/msal-node-extensions@5.6.0"]),
    },
  };
}

/** @returns {Cell[]} */
function growth() {
  const sizes = [2, 8, 32, 128, 512, 2048, 8192, 32768, 65536].map((kilobytes) => ({
    name: size(kilobytes * KB),
    x: kilobytes * KB,
    bytes: kilobytes * KB,
    content: { bytes: kilobytes * KB },
  }));
  const people = [1, 10, 100, 1_000, 10_000].map((accounts) => ({
    name: accounts === 1 ? "1 account" : `${accounts} accounts`,
    x: accounts,
    bytes: cacheOfAccounts(accounts).length,
    content: { accounts },
  }));
  return ["reload", "write"].flatMap((operation) => [
    ...sizes.map((point) => grown(`growth ${operation}`, operation, point)),
    ...people.map((point) => grown(`growth ${operation}, accounts`, operation, point)),
  ]);
}

/**
 * @param {string} group
 * @param {string} operation
 * @param {{ name: string, x: number, bytes: number, content: { bytes: number } | { accounts: number } }} point
 * @returns {Cell}
 */
function grown(group, operation, { name, x, bytes, content }) {
  const samples = bytes > 8 << 20 ? 3 : 7;
  /** @param {object} more */
  const cycles = (more) => () =>
    inDirectory((directory) => {
      const path = join(directory, "cache");
      return middle(node("cycles.mjs", { store: "file", path, operation, samples, ...content, ...more }));
    });
  return {
    group,
    name,
    x,
    unit: "ms",
    sides: {
      [OURS]: cycles({ package: "tokenkeep" }),
      [CACHED]: cycles({ package: "tokenkeep", durability: "cached" }),
      [ORIGINAL]: cycles({ package: "original" }),
      [BARE]: () =>
        inDirectory((directory) =>
          middle(bare(["file", join(directory, "cache"), String(bytes), "synced", String(samples)])),
        ),
    },
  };
}
