// The shortcut for our own persistences: one hop to Rust before, one after.
import type { Cache, Change, Committed, Snapshot } from "../native/cache";
import type { PersistenceError } from "../persistence-error";
import type { Hold, Store } from "./store";

export class NativeStore implements Store {
  constructor(
    private readonly cache: Cache,
    private readonly limit: number,
  ) {}

  isCurrent(generation: number): boolean {
    return this.cache.isCurrent(generation);
  }

  read(force: boolean, keys: boolean): Promise<Snapshot> {
    return this.cache.read({ force, keys });
  }

  async beginWrite(_force: boolean, keys: boolean): Promise<Hold> {
    const { hold, snapshot } = await this.cache.begin(this.limit, keys);
    return { id: hold, snapshot };
  }

  async commit(hold: Hold | undefined, change: Change, keys: boolean): Promise<Committed> {
    if (hold !== undefined) {
      // The base is usually the held content itself, which Rust still has.
      const base = change.base === hold.snapshot.content ? null : change.base;
      try {
        return await this.cache.commit(hold.id, { ...change, base }, keys, this.limit);
      } catch (error) {
        if ((error as PersistenceError).code !== "expired") {
          throw error;
        }
      }
    }
    return this.cache.commit(0, change, keys, this.limit);
  }

  setAside(hold: Hold, reason: string): Promise<void> {
    return this.cache.setAside(hold.id, reason);
  }

  release(hold: Hold): void {
    this.cache.release(hold.id);
  }
}
