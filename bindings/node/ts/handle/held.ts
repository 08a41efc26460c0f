// The locks that plugins hold while a program's own persistence loads or saves. Such a persistence often ends in one of ours,
// whose call would wait for the lock that its own caller has: it runs under that lock instead.
//
// A call is known to belong to a save by its asynchronous context. A queue in between may lose that context, or run the call in
// the context of an earlier save. Then the content tells, or at last the time: a save that has not ended, and that no call
// of ours has served yet, waits for the call that is at hand. A save of another part of the program waits, as it must.
//
// All copies of this package share the table: a plugin of one copy calls a persistence of another.
import type { AsyncLocalStorage } from "node:async_hooks";
import { builtin } from "../builtin";
import { clearTimeout, setTimeout } from "../clock";
import { PersistenceError } from "../error";
import { shared } from "../shared";
import { VERSION } from "../version";

/** How long a call without context waits for a save that may itself wait for the call, in milliseconds. */
const PATIENCE = { unserved: 500, served: 2_000 };

/** A lock, as long as a program's persistence works under it. */
interface Held {
  readonly path: string;
  readonly hold: number;
  /** Numbers of holds mean something to copies of one version alone. */
  readonly version: string;
  /** The content to be saved; `undefined` during a load. */
  readonly content: string | undefined;
  /** Whether a call that writes ran under it in its context. */
  served: boolean;
  /** Whether a call without its context ran under it. */
  lent: boolean;
  /** Settles after the last call under it: the addon uses a hold for one call at a time. */
  calls: Promise<unknown>;
  /** Settles when the persistence has done its work. */
  readonly ended: Promise<unknown>;
}

interface Table {
  /** Made for the first program that needs it: tracking asynchronous context slows down every promise of the process. */
  context: AsyncLocalStorage<Held> | undefined;
  /** By path. A lock has one holder. */
  readonly held: Map<string, Held>;
  /** The paths of saves that are known to lose their context. */
  readonly detached: Set<string>;
  /** The paths that a client's access has locked, by its context. */
  readonly accesses: WeakMap<object, string>;
}

const table = shared<Table>("held.1", () => ({
  context: undefined,
  held: new Map(),
  detached: new Set(),
  accesses: new WeakMap(),
}));

/**
 * Runs `action` as the owner of `hold`, which locks the cache at `path`. Settles when every call of ours under it has ended
 * as well, even one that `action` did not wait for.
 *
 * @param content Which is to be saved.
 */
export async function underHold<T>(
  path: string,
  hold: number,
  action: () => Promise<T>,
  content?: string,
): Promise<T> {
  table.context ??= new (builtin("node:async_hooks").AsyncLocalStorage)();
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const none = { served: false, lent: false, calls: Promise.resolve() };
  const held: Held = { path, hold, version: VERSION, content, ended, ...none };
  table.held.set(path, held);
  try {
    return await table.context.run(held, action);
  } finally {
    table.held.delete(path);
    if (held.lent && !held.served) {
      table.detached.add(path);
    }
    end();
    await held.calls;
  }
}

/**
 * Runs a call that reads under the lock that its caller holds, or with 0 where there is none.
 *
 * @throws PersistenceError as {@link writeHeld}.
 */
export async function readHeld<T>(path: string, call: (hold: number) => Promise<T>): Promise<T> {
  const held = table.held.get(path);
  // To read under the lock of another call is no harm, and saves the wait where the context was lost.
  return held !== undefined && (held.version === VERSION || isCaller(held)) ? join(held, call) : call(0);
}

/**
 * Runs a call that writes under the lock that its caller holds, or with 0 where there is none.
 *
 * @param content Which the call stores.
 * @throws PersistenceError `CrossPlatformLockError` where a copy of another version holds the lock for this very call: it would
 * wait for itself.
 */
export async function writeHeld<T>(
  path: string,
  call: (hold: number) => Promise<T>,
  content?: string | Uint8Array,
): Promise<T> {
  const held = table.held.get(path);
  if (held === undefined) {
    return call(0);
  }
  if (isCaller(held)) {
    held.served = true;
    return join(held, call);
  }
  const own = content !== undefined && held.content === content;
  if (!own && !held.lent && !(await seemsToWait(held))) {
    return call(0);
  }
  held.lent = true;
  return join(held, call);
}

/**
 * Notes that an access of a client is about to take the lock of `path`.
 *
 * @throws PersistenceError `CrossPlatformLockError` where the caller has it: another plugin over the same cache in the same
 * access, or within a persistence that a plugin has called.
 */
export function refuseOwnWait(path: string, access?: object): void {
  if (isHeldByCaller(path) || (access && table.accesses.get(access) === path)) {
    throw ownWait(path);
  }
}

/** Whether the caller runs within a plugin's call of a persistence, which has the lock of `path`. */
export function isHeldByCaller(path: string): boolean {
  const held = table.held.get(path);
  return held !== undefined && isCaller(held);
}

/** The error of a call that would wait for the lock that its own caller has. */
export function ownWait(path: string): PersistenceError {
  return waitsForItself(
    path,
    "a plugin of this very call holds the lock. Do this outside of its persistence, and give the cache to one plugin alone",
  );
}

/** Notes that a client's access has the lock of `path`, until the returned function is called. */
export function noteAccess(path: string, access: object): () => void {
  table.accesses.set(access, path);
  return () => void table.accesses.delete(access);
}

function isCaller(held: Held): boolean {
  return table.context?.getStore() === held;
}

/** Runs a call under a lock after those before it. */
function join<T>(held: Held, call: (hold: number) => Promise<T>): Promise<T> {
  if (held.version !== VERSION) {
    throw waitsForItself(
      held.path,
      `tokenkeep ${held.version} holds the lock, and its plugin was given a persistence of tokenkeep ${VERSION}. ` +
        "Use one version of the package in this program",
    );
  }
  const answer = held.calls.then(() => call(held.hold));
  held.calls = answer.then(ignore, ignore);
  return answer;
}

/** Whether a save does not end by itself, so that it waits for the call that is at hand. */
async function seemsToWait(held: Held): Promise<boolean> {
  const served = held.served || held.content === undefined;
  const known = table.detached.has(held.path) && !served;
  const limit = known ? 0 : served ? PATIENCE.served : PATIENCE.unserved;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(true), limit);
  });
  const waits = await Promise.race([held.ended.then(() => false), late]);
  clearTimeout(timer);
  return waits;
}

function waitsForItself(path: string, why: string): PersistenceError {
  return PersistenceError.createCrossPlatformLockError(`The call waits for itself at ${path}: ${why}`, {
    code: "busy",
  });
}

function ignore(): void {}
