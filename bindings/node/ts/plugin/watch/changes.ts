// Changes between the moment they are noticed and the moment a `for await` asks for them.
import type { CacheChange } from "./accounts";

export class Changes {
  private readonly waiting: CacheChange[] = [];
  private wake: (() => void) | undefined;
  private ended = false;

  push(change: CacheChange): void {
    this.waiting.push(change);
    this.wake?.();
  }

  /** No more will come; those that wait are still given. */
  end(): void {
    this.ended = true;
    this.wake?.();
  }

  async *iterate(): AsyncGenerator<CacheChange, void, undefined> {
    for (;;) {
      const change = this.waiting.shift();
      if (change !== undefined) {
        yield change;
      } else if (this.ended) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      }
    }
  }
}
