// @ts-check
/**
 * The rows of the contract, and the three ways to test one.
 */
import { test } from "node:test";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported, isOriginal } from "../support/subject.mjs";
import { NeedsLinux } from "../support/tools.mjs";

/** Every row, by the name that its tests use. */
const ROWS = /** @type {const} */ ([
  "exports",
  "create()",
  "create() errors",
  "new FilePersistence(path)",
  "file load",
  "file save",
  "DPAPI load",
  "DPAPI off Windows",
  "keystore load",
  "keystore errors",
  "foreign keystore",
  "delete()",
  "reloadNecessary()",
  "paths",
  "verifyPersistence()",
  "createForPersistenceValidation()",
  "createPersistence()",
  "mockability",
  "PersistenceError",
  "plugin fields",
  "first before, file absent",
  "after without before",
  "after a failed before",
  "lock options",
  "logger",
  "Environment",
  "types",
  "broker",
  "own persistence",
  "several clients",
  "fake timers",
  "copies",
  "queue",
  "listeners",
  "chdir",
  "content in errors",
]);

/** @typedef {typeof ROWS[number]} Row */

/**
 * The arguments of a contract test.
 *
 * @typedef {object} Bench
 * @property {any} ext      the package under test
 * @property {string} dir   a scratch directory
 * @typedef {(t: import("node:test").TestContext, bench: Bench) => unknown} Check
 */

/** @type {Set<string>} */
const tested = new Set();

/** @param {string} name @param {Row} row @param {Check} check */
function register(name, row, check) {
  tested.add(row);
  test(name, async (t) => {
    try {
      await check(t, { ext: await imported(), dir: await scratchDirectory(t) });
    } catch (error) {
      if (!(error instanceof NeedsLinux)) {
        throw error;
      }
      t.skip(error.message);
    }
  });
}

/**
 * Tests behaviour that both packages have.
 *
 * @param {Row} row
 * @param {string} sentence
 * @param {Check} check
 */
export function keep(row, sentence, check) {
  register(`${row} [keep]: ${sentence}`, row, check);
}

/**
 * Tests behaviour that is better in ours, and states that of the original.
 *
 * @param {Row} row
 * @param {string} sentence  what ours does
 * @param {{ original: Check, ours: Check }} checks
 */
export function improve(row, sentence, { original, ours }) {
  register(`${row} [improve]: ${sentence}`, row, isOriginal ? original : ours);
}

/**
 * Tests a difference that a program could notice; the package's README lists it.
 *
 * @param {Row} row
 * @param {string} sentence  what ours does
 * @param {{ original: Check, ours: Check }} checks
 */
export function change(row, sentence, { original, ours }) {
  register(`${row} [change]: ${sentence}`, row, isOriginal ? original : ours);
}

/** Returns the rows without a test. */
export function rowsWithoutTests() {
  return ROWS.filter((row) => !tested.has(row));
}

/**
 * Returns the error with which a promise rejects; throws if it does not reject.
 *
 * @param {Promise<unknown> | (() => Promise<unknown>)} attempt
 * @returns {Promise<any>}
 */
export async function rejection(attempt) {
  let value;
  try {
    value = await (typeof attempt === "function" ? attempt() : attempt);
  } catch (error) {
    return error;
  }
  throw new Error(`expected a rejection, got ${String(value)}`);
}
