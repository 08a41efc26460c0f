// Answers under a call number, as the addon's channel gives them, and the holds of this thread.
import type { Failure, NativeChannel } from "../native/addon";
import { failed, failureOf } from "./failure";
import type { Held } from "./lock-file";

/** How long a client may take between `before` and `after`, as in the addon. */
const LIMIT = 10_000;

type Dispatch = (call: number, failure: Failure | null, value: unknown) => void;

interface Hold {
  readonly held: Held;
  /** Whatever belongs to the lock while it is held. */
  readonly scene: unknown;
  clock: NodeJS.Timeout | undefined;
}

export class Channel implements NativeChannel {
  private readonly holds = new Map<number, Hold>();
  private last = 0;
  private closed = false;

  constructor(private readonly dispatch: Dispatch) {}

  /** Answers `call` with what `work` comes to. */
  answer(call: number, work: () => Promise<unknown>): void {
    // Never at once: who asks has to have the call number first.
    void Promise.resolve()
      .then(work)
      .then(
        (value) => this.dispatch(call, null, value),
        (error) => this.dispatch(call, failureOf(error), null),
      );
  }

  /** Tells something that is no answer. */
  tell(event: object): void {
    this.dispatch(0, null, event);
  }

  /** Gives a lock a number, and to the clock. */
  hold(held: Held, scene: unknown): number {
    if (this.closed) {
      held.release();
      throw failed("closed", "This JavaScript thread is ending");
    }
    this.last += 1;
    const number = this.last;
    const clock = setTimeout(() => this.release(number), LIMIT);
    clock.unref();
    this.holds.set(number, { held, scene, clock });
    return number;
  }

  /** The lock of a hold, which no longer expires; `undefined` when it has. */
  pin(number: number): { held: Held; scene: unknown } | undefined {
    const hold = this.holds.get(number);
    clearTimeout(hold?.clock);
    return hold;
  }

  release(number: number): void {
    const hold = this.holds.get(number);
    this.holds.delete(number);
    clearTimeout(hold?.clock);
    hold?.held.release();
  }

  /** Releases everything: the process ends. */
  close(): void {
    this.closed = true;
    for (const number of [...this.holds.keys()]) {
      this.release(number);
    }
  }
}
