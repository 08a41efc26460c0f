// The time limit and the breaker around a backend: every call ends, whatever the database does, and a database that is away
// costs a request no more than a millisecond.
import { clearTimeout, monotonic, setTimeout } from "../clock";
import type { Tell } from "./signals";
import { isStoreError, StoreError } from "./store-error";

/** Failures in a row that open the breaker. */
const IN_A_ROW = 5;
/** Or half of at least so many calls in this time, in milliseconds. */
const SAMPLE = 20;
const WINDOW = 10_000;
/** How long it stays open, in milliseconds: doubled at each failed probe, up to the last. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;

/** Codes of a database that does not answer, as opposed to one that answers with an error. */
const AWAY: ReadonlySet<string> = new Set(["timeout", "unavailable", "cluster_down"]);

export class Guard {
  private inARow = 0;
  private calls: { at: number; failed: boolean }[] = [];
  private pause = 0;
  private openUntil = 0;
  private probing = false;

  constructor(
    private readonly limit: number,
    private readonly tell: Tell,
  ) {}

  /** Whether calls are refused at once. */
  get isOpen(): boolean {
    return this.pause > 0;
  }

  /** Runs one call of the backend. The signal ends with the time limit. */
  async run<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const probe = this.admit();
    const abort = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(
          new StoreError(
            "timeout",
            `The token store did not answer within ${this.limit} ms. Check that the database is up and reachable, or raise "timeout"`,
          ),
        );
        abort.abort();
      }, this.limit);
    });
    try {
      const answer = await Promise.race([call(abort.signal), late]);
      this.succeeded();
      return answer;
    } catch (error) {
      this.failed(isStoreError(error) && AWAY.has(error.code));
      throw error;
    } finally {
      clearTimeout(timer);
      if (probe) {
        this.probing = false;
      }
    }
  }

  private admit(): boolean {
    if (this.pause === 0) {
      return false;
    }
    if (this.probing || monotonic() < this.openUntil) {
      throw new StoreError(
        "unavailable",
        "The token store has not answered lately and is asked again in a moment. Check that the database is up",
      );
    }
    this.probing = true;
    return true;
  }

  private succeeded(): void {
    this.inARow = 0;
    this.count(false);
    if (this.pause > 0) {
      this.pause = 0;
      this.calls = [];
      this.tell({ type: "breaker_closed", message: "The token store answers again" });
    }
  }

  private failed(away: boolean): void {
    if (!away) {
      // The database answered, which is what a probe asks.
      this.succeeded();
      return;
    }
    this.inARow += 1;
    const failures = this.count(true);
    if (this.pause > 0) {
      this.open(Math.min(this.pause * 2, LONGEST_PAUSE));
    } else if (
      this.inARow >= IN_A_ROW ||
      (this.calls.length >= SAMPLE && failures * 2 >= this.calls.length)
    ) {
      this.open(FIRST_PAUSE);
      this.tell({
        type: "breaker_open",
        message: "The token store does not answer; it is asked once in a while",
      });
    }
  }

  private count(failed: boolean): number {
    const now = monotonic();
    this.calls.push({ at: now, failed });
    if (this.calls.length > 256 || (this.calls[0] as { at: number }).at < now - WINDOW) {
      this.calls = this.calls.filter((call) => call.at >= now - WINDOW).slice(-256);
    }
    return this.calls.filter((call) => call.failed).length;
  }

  private open(pause: number): void {
    this.pause = pause;
    // Servers that lost the database together do not ask again together.
    this.openUntil = monotonic() + pause * (0.75 + Math.random() / 2);
  }
}
