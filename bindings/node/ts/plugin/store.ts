// The interface of a store, as the plugin needs it. Two implement it: our own, through the native cache in one hop
// each way, and any other persistence, through its own methods.
import type { Change, Committed, Snapshot } from "../handle/cache";

/** A snapshot under the lock, to be committed or released. */
export interface Hold {
  readonly id: number;
  readonly snapshot: Snapshot;
}

export interface Store {
  /** Whether nothing newer than `generation` is stored, if that can be told at once. */
  isCurrent(generation: number): boolean;

  /** Reads the stored content, with `force` even if it looks unchanged. */
  read(force: boolean, keys: boolean): Promise<Snapshot>;

  /** Waits for the lock, then compares and reloads. */
  beginWrite(force: boolean, keys: boolean): Promise<Hold>;

  /**
   * Merges a change into the store and releases. Without a hold, or with an expired one, it locks again and merges with
   * the content stored by then.
   */
  commit(hold: Hold | undefined, change: Change, keys: boolean): Promise<Committed>;

  /** Keeps a copy of unusable content, and goes on as if nothing were stored; fails with `reason` where no copy can be kept. */
  setAside(hold: Hold, reason: string): Promise<void>;

  /** Releases a hold without writing. The lock is free when it resolves. */
  release(hold: Hold): Promise<void>;
}
