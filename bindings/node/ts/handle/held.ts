// Carries the plugin's hold into its own calls of a persistence's methods, which would otherwise wait for the lock that
// their caller has. It follows the calls, not the clock: a save that anybody else starts meanwhile waits as it must.
//
// All copies of this package in a process share the context: a plugin of one copy calls a persistence of another.
import type { AsyncLocalStorage } from "node:async_hooks";
import { resolve } from "node:path";
import { builtin } from "../builtin";
import { PersistenceError } from "../error";
import { VERSION } from "../version";

interface Held {
  readonly path: string;
  readonly hold: number;
  /** Numbers of holds mean something to copies of one version alone. */
  readonly version: string;
}

const KEY = Symbol.for("tokenkeep.held");

const world = globalThis as { [KEY]?: AsyncLocalStorage<Held> };

/** Runs `action` as the owner of `hold`, which locks the cache at `path`. */
export function underHold<T>(path: string, hold: number, action: () => T): T {
  // Created on first use: tracking asynchronous context slows down every promise of the process.
  world[KEY] ??= new (builtin("node:async_hooks").AsyncLocalStorage)();
  return world[KEY].run({ path: resolve(path), hold, version: VERSION }, action);
}

/**
 * The hold under which the caller runs, if it locks the cache at `path`; otherwise 0.
 *
 * @throws PersistenceError `CrossPlatformLockError` where a copy of another version holds the lock for this very call: it would wait
 * for itself.
 */
export function holdFor(path: string): number {
  const held = world[KEY]?.getStore();
  if (held === undefined || held.path !== resolve(path)) {
    return 0;
  }
  if (held.version !== VERSION) {
    throw PersistenceError.createCrossPlatformLockError(
      `The call waits for itself: tokenkeep ${held.version} holds the lock of ${path}, and its plugin was given a persistence of ` +
        `tokenkeep ${VERSION}. Use one version of the package in this program`,
      { code: "busy" },
    );
  }
  return held.hold;
}
