// Giving up an operation by an AbortSignal.

/** The used part of an `AbortSignal`, declared here for programs without the types of Node or the DOM. */
export interface AbortSignalLike {
  /** Whether it is aborted. */
  readonly aborted: boolean;
  /** The error with which calls reject. */
  readonly reason?: unknown;
  /** Calls the listener when it is aborted. */
  addEventListener(type: "abort", listener: () => void, options?: { once?: boolean }): void;
  /** Ends the calls of a listener. */
  removeEventListener(type: "abort", listener: () => void): void;
}

/** How an operation can be given up. */
export interface AbortOptions {
  /** Once it is aborted, the call rejects with its `reason`. */
  signal?: AbortSignalLike;
}

/** @throws the signal's reason, where it is aborted. */
export function throwIfAborted(signal: AbortSignalLike | undefined): void {
  if (signal?.aborted) {
    throw signal.reason;
  }
}

/** Settles as `work` does, or rejects as soon as the signal is aborted. Work that was begun goes on unawaited. */
export async function orAborted<T>(signal: AbortSignalLike | undefined, work: () => Promise<T>): Promise<T> {
  if (signal === undefined) {
    return work();
  }
  throwIfAborted(signal);
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work(), aborted]);
  } finally {
    if (onAbort !== undefined) {
      signal.removeEventListener("abort", onAbort);
    }
  }
}
