// One channel per JavaScript thread carries every answer of the addon: a call number goes out, a result comes back under
// it. Nothing here waits on Node's worker pool, and an answer that is still to come keeps the process alive.
import { builtin } from "../builtin";
import { isPersistenceError } from "../error";
import type { Addon, EventReply, Failure, NativeChannel } from "../face";
import { shared } from "../shared";
import { VERSION } from "../version";
import { NativeFailure } from "./errors";
import { loadAddon } from "./locate";

/** How long a process that exits waits for writes under way, in milliseconds: longer than a write, shorter than a thought. */
const EXIT_PATIENCE = 250;

/** After so many new listeners, those whose owner is gone are forgotten. */
const SWEEP = 64;

type Waiter = (failure: Failure | null, value: unknown) => void;

/** Receives what a cache has to tell beside its answers. */
export type Listener = (event: EventReply) => void;

interface Link {
  addon: Addon;
  channel: NativeChannel;
}

/** The state shared by all copies of this package: two channels would wait for each other's locks. */
interface Shared {
  readonly waiters: Map<number, Waiter>;
  /** Weak, because a listener belongs to a persistence and must not keep it alive. */
  readonly listeners: Map<number, WeakRef<Listener>>;
  lastCall: number;
  lastSource: number;
  open: Link | undefined;
}

/** By version: copies of different versions may speak differently to the addon. */
const state = shared<Shared>(`link.${VERSION}`, () => ({
  waiters: new Map(),
  listeners: new Map(),
  lastCall: 0,
  lastSource: 0,
  open: undefined,
}));

/**
 * The addon, found once, and this thread's channel to it, opened on first use.
 *
 * @throws PersistenceError `NotSupportedError` with the code `addon_missing` or `addon_unusable`.
 */
export function link(): Link {
  if (state.open === undefined) {
    // Not at import: without a binary the package still imports, tells where user directories are and reports errors.
    const addon = loadAddon();
    const channel = new addon.Channel(dispatch);
    state.open = { addon, channel };
    // Not `once`, which is compiled for this call alone; to close twice does nothing.
    // Not the global process either: a test runner's stand-in for it does not exit.
    builtin("node:process").on("exit", () => channel.close(EXIT_PATIENCE));
  }
  return state.open;
}

/** Starts something in Rust and gives its answer; failures are `NativeFailure`s. */
export function call<T>(start: (call: number) => void): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const id = state.lastCall === 0xffff_ffff ? 1 : state.lastCall + 1;
    state.lastCall = id;
    state.waiters.set(id, (failure, value) =>
      failure === null ? resolve(value as T) : reject(new NativeFailure(failure)),
    );
    try {
      start(id);
    } catch (error) {
      state.waiters.delete(id);
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
  state.lastSource += 1;
  if (state.lastSource % SWEEP === 0) {
    sweep();
  }
  state.listeners.set(state.lastSource, new WeakRef(listener));
  return state.lastSource;
}

function sweep(): void {
  for (const [source, reference] of state.listeners) {
    if (reference.deref() === undefined) {
      state.listeners.delete(source);
    }
  }
}

function dispatch(id: number, failure: Failure | null, value: unknown): void {
  if (id === 0) {
    const event = value as EventReply;
    state.listeners.get(event.source)?.deref()?.(event);
    return;
  }
  const waiter = state.waiters.get(id);
  state.waiters.delete(id);
  waiter?.(failure, value);
}
