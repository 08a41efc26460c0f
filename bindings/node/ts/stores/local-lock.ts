// A lock inside this process, for a cache that no other process can see. It behaves as the lock between processes does:
// first come, first served, with a time limit for waiting and one for holding.

import { clearTimeout, setTimeout } from "../clock";
import { lockTimeout } from "../handle/errors";
import type { Locker } from "../handle/lock";

/** How long a hold lasts that is neither pinned nor released; the same as between processes. */
const HOLD_LIMIT = 10_000;

interface Waiter {
  grant(): void;
}

export class LocalLock implements Locker {
  private readonly waiting: Waiter[] = [];
  private holder: { readonly hold: number; expiry: NodeJS.Timeout | undefined } | undefined;
  private last = 0;

  acquire(limit: number): Promise<number> {
    if (this.holder === undefined) {
      return Promise.resolve(this.take());
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        grant: () => {
          clearTimeout(late);
          resolve(this.take());
        },
      };
      const late = setTimeout(() => {
        this.waiting.splice(this.waiting.indexOf(waiter), 1);
        reject(lockTimeout(`Waited ${limit} ms for the cache in this process's memory`));
      }, limit);
      this.waiting.push(waiter);
    });
  }

  pin(hold: number): boolean {
    if (this.holder?.hold !== hold) {
      return false;
    }
    clearTimeout(this.holder.expiry);
    return true;
  }

  async release(hold: number): Promise<void> {
    this.free(hold);
  }

  private free(hold: number): void {
    if (this.pin(hold)) {
      this.holder = undefined;
      this.waiting.shift()?.grant();
    }
  }

  private take(): number {
    this.last += 1;
    const hold = this.last;
    // This timer need not keep the process alive: each waiter has a timer that does.
    this.holder = { hold, expiry: setTimeout(() => this.free(hold), HOLD_LIMIT).unref() };
    return hold;
  }
}
