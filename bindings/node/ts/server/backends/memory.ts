// A backend in the memory of this process: for tests, and for one server without a database.
import { systemTime } from "../../clock";
import type { Backend, Swapped, Turn } from "../backend";
import { groupOf, revisionOf } from "../record";

interface Held {
  readonly value: Uint8Array;
  readonly until: number;
}

/**
 * Keeps records in the memory of this process. They are sealed all the same, and end with it.
 *
 * ```js
 * const store = new TokenStore({ app: "tests", backend: memory(), keys: keys.random() });
 * ```
 */
export function memory(): Backend {
  return new Memory();
}

class Memory implements Backend {
  private readonly records = new Map<string, Held>();
  private readonly leases = new Map<string, { id: string; until: number }>();

  read(name: string): Promise<Uint8Array | null> {
    return Promise.resolve(this.current(name));
  }

  swap(
    name: string,
    expect: Uint8Array | null,
    value: Uint8Array | null,
    ttl: number,
    _turn: Turn,
  ): Promise<Swapped> {
    const current = this.current(name);
    const revision = current === null ? null : revisionOf(current);
    if (expect === null ? revision !== null : revision === null || !revision.equals(expect)) {
      return Promise.resolve({ done: false, current });
    }
    if (value === null) {
      this.records.delete(name);
    } else {
      this.records.set(name, { value: Buffer.from(value), until: systemTime() + ttl });
    }
    return Promise.resolve({ done: true });
  }

  remove(names: readonly string[]): Promise<number> {
    let removed = 0;
    for (const name of [...this.records.keys()]) {
      if (names.includes(name) || names.includes(groupOf(name) ?? "")) {
        removed += this.current(name) === null ? 0 : 1;
        this.records.delete(name);
      }
    }
    return Promise.resolve(removed);
  }

  lease(name: string, id: string, ttl: number): Promise<boolean> {
    const held = this.leases.get(name);
    const free = held === undefined || held.id === id || held.until <= systemTime();
    if (free) {
      this.leases.set(name, { id, until: systemTime() + ttl });
    }
    return Promise.resolve(free);
  }

  release(name: string, id: string): Promise<void> {
    if (this.leases.get(name)?.id === id) {
      this.leases.delete(name);
    }
    return Promise.resolve();
  }

  async *scan(prefix: string): AsyncIterable<string> {
    for (const name of [...this.records.keys()]) {
      if (name.startsWith(prefix) && this.current(name) !== null) {
        yield name;
      }
    }
  }

  private current(name: string): Uint8Array | null {
    const held = this.records.get(name);
    if (held !== undefined && held.until <= systemTime()) {
      this.records.delete(name);
      return null;
    }
    return held?.value ?? null;
  }
}
