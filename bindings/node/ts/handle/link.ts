// One channel per JavaScript thread carries every answer of the addon: a call number goes out, a result comes back under
// it. Nothing here waits on Node's worker pool, and an answer that is still to come keeps the process alive.
import { isPersistenceError } from "../error";
import type { Addon, EventReply, Failure, NativeChannel } from "../face";
import { NativeFailure } from "./errors";
import { loadAddon } from "./locate";

/** How long a process that exits waits for writes under way, in milliseconds: longer than a write, shorter than a thought. */
const EXIT_PATIENCE = 250;

/** After so many new listeners, those whose owner is gone are forgotten. */
const SWEEP = 64;

interface Waiter {
  resolve(value: never): void;
  reject(reason: unknown): void;
}

/** Receives what a cache has to tell beside its answers. */
export type Listener = (event: EventReply) => void;

interface Link {
  addon: Addon;
  channel: NativeChannel;
}

const waiters = new Map<number, Waiter>();
// Weak, because a listener belongs to a persistence and must not keep it alive.
const listeners = new Map<number, WeakRef<Listener>>();
let lastCall = 0;
let lastSource = 0;
let open: Link | undefined;

/**
 * The addon, found once, and this thread's channel to it, opened on first use.
 *
 * @throws PersistenceError `NotSupportedError` with the code `addon_missing` or `addon_unusable`.
 */
export function link(): Link {
  if (open === undefined) {
    // Not at import: without a binary the package still imports, tells where user directories are and reports errors.
    const addon = loadAddon();
    open = { addon, channel: new addon.Channel(dispatch) };
    const { channel } = open;
    // Not `once`, which is compiled for this call alone; to close twice does nothing.
    process.on("exit", () => channel.close(EXIT_PATIENCE));
  }
  return open;
}

/** Starts something in Rust and gives its answer; failures are `NativeFailure`s. */
export function call<T>(start: (call: number) => void): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    lastCall = lastCall === 0xffff_ffff ? 1 : lastCall + 1;
    waiters.set(lastCall, { resolve, reject });
    try {
      start(lastCall);
    } catch (error) {
      waiters.delete(lastCall);
      reject(thrown(error));
    }
  });
}

/** Opens something in Rust, which fails at once or not at all. */
export function opened<T>(open: () => T): T {
  try {
    return open();
  } catch (error) {
    throw thrown(error);
  }
}

/** An exception of Rust's as the failure it is; it carries its kind as `code`. */
export function thrown(error: unknown): unknown {
  if (isPersistenceError(error)) {
    return error;
  }
  const { code, message } = error as { code?: unknown; message: string };
  return typeof code === "string" ? new NativeFailure({ kind: code, message }) : error;
}

/** Registers a listener, which its owner must keep; gives the source number to open a cache with. */
export function listen(listener: Listener): number {
  lastSource += 1;
  if (lastSource % SWEEP === 0) {
    sweep();
  }
  listeners.set(lastSource, new WeakRef(listener));
  return lastSource;
}

function sweep(): void {
  for (const [source, reference] of listeners) {
    if (reference.deref() === undefined) {
      listeners.delete(source);
    }
  }
}

function dispatch(id: number, failure: Failure | null, value: unknown): void {
  if (id === 0) {
    const event = value as EventReply;
    listeners.get(event.source)?.deref()?.(event);
    return;
  }
  const waiter = waiters.get(id);
  waiters.delete(id);
  if (failure !== null) {
    waiter?.reject(new NativeFailure(failure));
  } else {
    waiter?.resolve(value as never);
  }
}
