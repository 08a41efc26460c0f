// @ts-check
/**
 * The fake timers of a test runner in their strictest form: no timer fires, and the time does not change.
 */
import { performance } from "node:perf_hooks";
import timers from "node:timers";

const { setTimeout } = globalThis;

/** The functions that Jest, Vitest, Sinon and node:test replace. */
const NAMES = /** @type {const} */ ([
  "setTimeout",
  "setInterval",
  "setImmediate",
  "clearTimeout",
  "clearInterval",
  "clearImmediate",
]);

/** @param {import("node:test").TestContext} t */
export function stopClock(t) {
  const never = () => ({ ref: never, unref: never });
  const places = /** @type {Record<string, Function>[]} */ (/** @type {unknown} */ ([globalThis, timers]));
  for (const place of places) {
    for (const name of NAMES) {
      replace(t, place, name, never);
    }
  }
  replace(t, globalThis, "queueMicrotask", () => {});
  replace(t, performance, "now", () => 0);
  replace(t, process, "hrtime", () => [0, 0]);
  replace(t, Date, "now", () => 1_600_000_000_000);
}

/**
 * Replaces a function during the test. `t.mock` would restore it after hooks that need the real one.
 *
 * @param {import("node:test").TestContext} t
 * @param {any} place
 * @param {string} name
 * @param {Function} stub
 */
function replace(t, place, name, stub) {
  const real = place[name];
  place[name] = stub;
  t.after(() => {
    place[name] = real;
  });
}

/**
 * Returns the result of `work`; rejects after ten real seconds.
 *
 * @template T
 * @param {Promise<T>} work
 * @returns {Promise<T>}
 */
export function inRealTime(work) {
  const late = new Promise((_, reject) => {
    setTimeout(reject, 10_000, new Error("it waits for a timer that never fires")).unref();
  });
  return Promise.race([work, /** @type {Promise<never>} */ (late)]);
}
