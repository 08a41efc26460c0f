// Carries the plugin's hold into its own calls of a persistence's methods, which would otherwise wait for the lock that
// their caller has. It follows the calls, not the clock: a save that anybody else starts meanwhile waits as it must.
import type { AsyncLocalStorage } from "node:async_hooks";
import { resolve } from "node:path";
import { builtin } from "../builtin";

interface Held {
  readonly path: string;
  readonly hold: number;
}

// Created on first use: tracking asynchronous context slows down every promise of the process.
let context: AsyncLocalStorage<Held> | undefined;

/** Runs `action` as the owner of `hold`, which locks the cache at `path`. */
export function underHold<T>(path: string, hold: number, action: () => T): T {
  if (context === undefined) {
    context = new (builtin("node:async_hooks").AsyncLocalStorage)();
  }
  return context.run({ path: resolve(path), hold }, action);
}

/** The hold under which the caller runs, if it locks the cache at `path`; otherwise 0. */
export function holdFor(path: string): number {
  const held = context?.getStore();
  return held !== undefined && held.path === resolve(path) ? held.hold : 0;
}
