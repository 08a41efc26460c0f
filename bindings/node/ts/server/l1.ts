// Sealed records in the memory of this process, for a while. Nothing waits here in plaintext.
import { systemTime } from "../clock";

interface Held {
  readonly record: Uint8Array;
  readonly at: number;
  readonly until: number;
}

/** Drops the records that were used longest ago. */
export class Level1 {
  private readonly held = new Map<string, Held>();
  private bytes = 0;

  constructor(
    private readonly maxStale: number,
    private readonly maxBytes: number,
  ) {}

  /** The record, if it is fresh; with `anyAge`, as long as it has not expired. */
  get(name: string, anyAge = false): Uint8Array | undefined {
    const found = this.held.get(name);
    const now = systemTime();
    if (found === undefined) {
      return undefined;
    }
    if (found.until <= now) {
      this.delete(name);
      return undefined;
    }
    if (!anyAge && now - found.at > this.maxStale) {
      return undefined;
    }
    this.held.delete(name);
    this.held.set(name, found);
    return found.record;
  }

  set(name: string, record: Uint8Array, until: number): void {
    this.delete(name);
    this.held.set(name, { record, at: systemTime(), until });
    this.bytes += record.length;
    for (const oldest of this.held.keys()) {
      if (this.bytes <= this.maxBytes) {
        break;
      }
      this.delete(oldest);
    }
  }

  delete(name: string): void {
    this.bytes -= this.held.get(name)?.record.length ?? 0;
    this.held.delete(name);
  }
}
