// The shortcut for our own persistences: one hop to Rust before, one after.

import type { PersistenceError } from "../error";
import type { Cache, Change, Committed, Snapshot } from "../handle/cache";
import { refuseOwnWait } from "../handle/held";
import type { Hold, Store } from "./store";

export class NativeStore implements Store {
  constructor(
    private readonly cache: Cache,
    /** Absolute. */
    private readonly path: string,
    private readonly limit: number,
    /** Damage is an error instead of being set aside. */
    private readonly strict: boolean,
  ) {}

  isCurrent(generation: number): boolean {
    return this.cache.isCurrent(generation);
  }

  read(force: boolean, keys: boolean): Promise<Snapshot> {
    return this.cache.read({ force, keys });
  }

  async beginWrite(force: boolean, keys: boolean): Promise<Hold> {
    refuseOwnWait(this.path);
    const { hold, snapshot } = await this.cache.begin(this.limit, force, keys, this.strict);
    return { id: hold, snapshot };
  }

  async commit(hold: Hold | undefined, change: Change, keys: boolean): Promise<Committed> {
    if (hold !== undefined) {
      // Rust still has the held content, which the base often is as well.
      const base = change.base === change.held ? null : change.base;
      try {
        const known = { ...change, held: null, base };
        return await this.cache.commit(hold.id, known, keys, this.limit, this.strict);
      } catch (error) {
        if ((error as PersistenceError).code !== "expired") {
          throw error;
        }
      }
    }
    refuseOwnWait(this.path);
    return this.cache.commit(0, change, keys, this.limit, this.strict);
  }

  setAside(hold: Hold, reason: string): Promise<void> {
    return this.cache.setAside(hold.id, reason);
  }

  release(hold: Hold): Promise<void> {
    return this.cache.release(hold.id);
  }
}
