// @ts-check
/**
 * The Python package beside msal-extensions (with portalocker, as the Azure CLI has it): cells as those of `cells.mjs`.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { median, size } from "./lib/figures.mjs";
import { inDirectory, pythonStart, tokens } from "./lib/sides.mjs";

/** @typedef {import("./cells.mjs").Cell} Cell */

export const PACKAGE = "tokenkeep for Python";
export const PACKAGE_CACHED = "tokenkeep for Python, cached";
export const EXTENSIONS = "msal-extensions 1.3.1";

const KB = 1024;
const PROCESSES = 8;

/** @param {{ quick: boolean }} options @returns {Cell[]} */
export function pythonCells({ quick }) {
  const sizes = quick ? [4 * KB, 1024 * KB] : [4 * KB, 100 * KB, 1024 * KB];
  const samples = quick ? 9 : 25;
  return [
    ...["sign-in", "one token", "search, one token", "search, accounts", "reload", "save", "load"].flatMap(
      (operation) => sizes.map((bytes) => cell(operation, size(bytes), { bytes, samples }, bytes)),
    ),
    cell("lock", "taken and given back", { bytes: 0, samples }),
    // 300 people.
    cell("expired", "one search over 300 expired tokens", { bytes: 1_026_000, samples: quick ? 1 : 3 }),
    crowd(quick ? 25 : 50),
    imports(quick ? 5 : 15),
  ];
}

/** @param {(more: { package: string, cached?: boolean }) => () => Promise<import("./cells.mjs").Figures>} side */
function both(side) {
  return { [PACKAGE]: side({ package: "tokenkeep" }), [EXTENSIONS]: side({ package: "original" }) };
}

/** The operations that write to a file. */
const WRITES = ["sign-in", "one token", "save"];

/** @param {string} operation @param {string} name @param {object} more @param {number} [x] @returns {Cell} */
function cell(operation, name, more, x) {
  /** @param {{ package: string, cached?: boolean }} which */
  const side = (which) => () =>
    inDirectory(async (directory) => {
      const spec = { path: join(directory, "cache"), operation, ...which, ...more };
      return { ms: median(await tokens(spec).next()) };
    });
  /** @type {Cell["sides"]} */
  const sides = both(side);
  if (WRITES.includes(operation)) {
    sides[PACKAGE_CACHED] = side({ package: "tokenkeep", cached: true });
  }
  return { group: `Python ${operation}`, name, x, unit: "ms", sides };
}

/** @param {number} samples @returns {Cell} */
function crowd(samples) {
  const sides = both(
    (which) => () =>
      inDirectory(async (directory) => {
        const path = join(directory, "cache");
        const running = Array.from({ length: PROCESSES }, (_, n) =>
          tokens({ ...which, path, operation: "crowd", bytes: 0, samples, name: `p${n}` }),
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
        const failed = results.reduce((sum, { failures }) => sum + failures, 0);
        const kept = Object.keys(JSON.parse(await readFile(path, "utf8")).Account).length;
        return {
          ms: Math.max(...results.map(({ ended }) => ended)) - Math.min(...results.map(({ began }) => began)),
          longest: Math.max(...results.map(({ longest }) => longest)),
          lost: PROCESSES * samples - failed - kept,
          failed,
        };
      }),
  );
  return { group: "Python crowd", name: `${PROCESSES} processes × ${samples} sign-ins`, unit: "ms", sides };
}

/** What an import adds to the start of Python. @param {number} starts @returns {Cell} */
function imports(starts) {
  /** @param {string} module */
  const run = (module) => async () => {
    const times = [];
    for (let n = 0; n < starts; n += 1) {
      times.push(await pythonStart(module));
    }
    return { ms: median(times) };
  };
  return {
    group: "Python import",
    name: "a process that imports it and ends",
    unit: "ms",
    sides: { [PACKAGE]: run("tokenkeep"), [EXTENSIONS]: run("msal_extensions"), nothing: run("sys") },
  };
}
