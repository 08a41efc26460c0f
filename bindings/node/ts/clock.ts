// The timers and clocks of this package, taken when it is loaded. Tests of programs replace the global ones, and a
// replaced timer never fires by itself: a write that waited for it would keep its lock.
//
// Timers come from the module, not from the global object: some test runners replace the global ones before they load
// anything. The linter refuses global timers in all other files here.
import {
  clearTimeout as systemClearTimeout,
  setImmediate as systemSetImmediate,
  setTimeout as systemSetTimeout,
} from "node:timers";

// Constants: an import would be looked up in the module at each call.
export const clearTimeout = systemClearTimeout;
export const setImmediate = systemSetImmediate;
export const setTimeout = systemSetTimeout;

const { queueMicrotask: systemQueueMicrotask } = globalThis;
const { now } = Date;
const { hrtime } = process;

export function queueMicrotask(task: () => void): void {
  systemQueueMicrotask(task);
}

/** The time since the epoch, in milliseconds, even if the program replaces `Date`. */
export function systemTime(): number {
  return now();
}

/** The time since the epoch as the program has it, for fields and files that the program compares with its own clock. */
export function programTime(): number {
  return Date.now();
}

/** The time since some fixed moment, in milliseconds; it never goes back. */
export function monotonic(): number {
  const [seconds, nanoseconds] = hrtime();
  return seconds * 1_000 + nanoseconds / 1_000_000;
}
