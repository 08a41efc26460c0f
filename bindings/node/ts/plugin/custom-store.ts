// Any persistence that Rust does not keep: its own methods, always called, inside our lock and around our merge. That is
// a program's own, one of ours that was changed, and the one in memory.
//
// `reloadNecessary` compares times, and two writes within a tick of a clock have the same time. A read may believe it: it
// misses a change only until the next read. A write may not: it would overwrite the change. So a write always loads.

import { programTime, systemTime } from "../clock";
import { damagedError, PersistenceError } from "../error";
import type { Change, Committed, Snapshot } from "../handle/cache";
import { refuseOwnWait } from "../handle/held";
import { entryKeys, Lock, merge } from "../handle/lock";
import type { Kin, KinLock, Memory } from "../stores/kin";
import type { IPersistence } from "../types";
import type { Hold, Store } from "./store";

/** How far a file's time may lie behind the clock, in milliseconds: kernels stamp files once per tick of up to 10. */
const CLOCK_GRAIN = 20;

/** The plugin's public field, which this store keeps for it. */
export interface Synced {
  /** Earlier than the state it stands for, so that `reloadNecessary` counts every later write as a change. */
  lastSync: number;
}

export class CustomStore implements Store {
  private readonly lock: KinLock;
  private readonly memory: Memory | undefined;
  private latest: Snapshot | undefined;
  private begun = 0;
  private published = 0;

  constructor(
    private readonly persistence: IPersistence,
    kin: Kin | undefined,
    /** Absolute. */
    private readonly path: string,
    private readonly synced: Synced,
    private readonly limit: number,
  ) {
    this.memory = kin?.memory;
    this.lock = kin?.lock() ?? Lock.beside(path);
  }

  isCurrent(): boolean {
    // Only the persistence can tell, and not at once.
    return false;
  }

  async read(force: boolean, keys: boolean): Promise<Snapshot> {
    const known = await this.unchanged(force, keys);
    if (known !== undefined) {
      return known;
    }
    const hold = await this.acquire();
    try {
      return await this.load(hold, keys);
    } finally {
      await this.lock.release(hold);
    }
  }

  async beginWrite(_force: boolean, keys: boolean): Promise<Hold> {
    const id = await this.acquire();
    try {
      return { id, snapshot: await this.load(id, keys) };
    } catch (error) {
      await this.lock.release(id);
      throw error;
    }
  }

  async commit(hold: Hold | undefined, change: Change, keys: boolean): Promise<Committed> {
    // From here on the lock is ours until the save has ended, however long the persistence takes.
    const inTime = hold !== undefined && this.lock.pin(hold.id);
    const id = inTime ? hold.id : await this.acquire();
    try {
      const theirs = inTime ? hold.snapshot.content : await this.loadLate(id);
      return await this.saveUnder(id, theirs, change, keys);
    } finally {
      await this.lock.release(id);
    }
  }

  async setAside(_hold: Hold, reason: string): Promise<void> {
    // A copy would put in the clear what this persistence may encrypt: the program decides, as it always had to.
    throw damagedError(reason);
  }

  release(hold: Hold): Promise<void> {
    return this.lock.release(hold.id);
  }

  private acquire(): Promise<number> {
    refuseOwnWait(this.path);
    return this.lock.acquire(this.limit);
  }

  private async loadLate(hold: number): Promise<string | null> {
    if (!this.lock.pin(hold)) {
      throw PersistenceError.createCrossPlatformLockError("The lock expired before the cache could be saved");
    }
    return (await this.load(hold, false)).content;
  }

  private async saveUnder(
    hold: number,
    theirs: string | null,
    change: Change,
    keys: boolean,
  ): Promise<Committed> {
    const { base, ours, disturbed } = change;
    const unmerged = !theirs || (base === theirs && !disturbed);
    const merged = unmerged
      ? { content: ours, keys: keys ? await entryKeys(ours) : null, conflict: undefined }
      : await merge(change, theirs, keys);
    this.begun += 1;
    const order = this.begun;
    const before = earliest();
    await this.lock.under(this.path, hold, () => this.persistence.save(merged.content), merged.content);
    this.synced.lastSync = this.memory?.modified ?? before;
    const stored = merged.content === ours ? merged.keys : null;
    const snapshot = this.publish(order, merged.content, stored);
    if (merged.conflict !== undefined) {
      throw merged.conflict;
    }
    return { snapshot, keys: merged.keys };
  }

  private async unchanged(force: boolean, keys: boolean): Promise<Snapshot | undefined> {
    const changed = await this.persistence.reloadNecessary(this.synced.lastSync);
    const { latest } = this;
    const usable = latest !== undefined && !force && !changed && !(keys && latest.keys === null);
    return usable ? latest : undefined;
  }

  private async load(hold: number, keys: boolean): Promise<Snapshot> {
    this.begun += 1;
    const order = this.begun;
    const before = earliest();
    const content = await this.loadUnder(hold);
    const found = content && keys ? await entryKeys(content) : [];
    this.synced.lastSync = this.memory?.modified ?? before;
    return this.publish(order, content, keys ? found : null);
  }

  private async loadUnder(hold: number): Promise<string | null> {
    try {
      return (await this.lock.under(this.path, hold, () => this.persistence.load())) ?? null;
    } catch (error) {
      // A store that is not there yet is an empty one.
      const { errorCode, code } = (error ?? {}) as { errorCode?: unknown; code?: unknown };
      if (errorCode === "ENOENT" || code === "ENOENT") {
        return null;
      }
      throw error;
    }
  }

  private publish(order: number, content: string | null, keys: readonly string[] | null): Snapshot {
    const snapshot = { generation: order, content, keys };
    if (order > this.published) {
      this.published = order;
      this.latest = snapshot;
    }
    return snapshot;
  }
}

/** A time earlier than any that a write from now on can get, by the system's clock or by a clock that stands in for it. */
function earliest(): number {
  return Math.min(systemTime(), programTime()) - CLOCK_GRAIN;
}
