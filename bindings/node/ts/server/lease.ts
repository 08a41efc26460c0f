// One redemption at a time: the network client of msal-node asks here before it redeems a token that other servers may be
// redeeming at the same moment.
import { builtin } from "../builtin";
import { clearTimeout, monotonic, setTimeout } from "../clock";
import { type Partition, revisionOf } from "./record";
import { pause, type Records } from "./records";
import { isWatched, trace } from "./signals";

/** A leader that has died holds the others up for this long, in milliseconds. */
const LIFE = 3_000;
/** The first and the longest time between two looks of a waiter, in milliseconds. */
const FIRST_LOOK = 15;
const LAST_LOOK = 100;

/** What a call may do now. */
export type Turnout =
  /** Redeem; the lease ends with the call. */
  | "redeem"
  /** Another server has stored a result: look again. */
  | "again";

/** The lease of one call, also when the call starts over: who has it keeps it. */
export class Lease {
  private id = "";
  private name: string | undefined;
  private begun: number | undefined;
  private renewing: NodeJS.Timeout | undefined;
  private isOver = false;

  constructor(
    private readonly records: Records,
    private readonly place: Partition,
    private readonly limit: number,
  ) {}

  /** Waits until this call may redeem for `scope`, or until the record is another than the call has read. */
  async take(scope: string, read: Uint8Array | null): Promise<Turnout> {
    const { backend } = this.records;
    if (backend.lease === undefined || this.name !== undefined) {
      return "redeem";
    }
    const hash = builtin("node:crypto").createHash("sha256").update(scope).digest("base64url").slice(0, 27);
    const name = `${this.place.name}:l:${hash}`;
    // Most calls find their token and take no lease.
    this.id ||= builtin("node:crypto").randomBytes(12).toString("hex");
    const started = monotonic();
    const told = (outcome: string) => {
      if (isWatched()) {
        const milliseconds = monotonic() - started;
        trace({ operation: "lease", kind: this.place.kind, outcome, milliseconds });
      }
    };
    try {
      this.begun ??= started;
      for (let look = FIRST_LOOK; ; look = Math.min(look + 10, LAST_LOOK)) {
        const led = await this.held(name);
        if (await this.isOvertaken(read)) {
          // Nobody else redeems while this one has the lease, so that the next look is the last.
          told("waited");
          return "again";
        }
        if (led || monotonic() - this.begun > this.limit) {
          told(led ? "led" : "failed");
          return "redeem";
        }
        await pause(look);
      }
    } catch {
      // The database does not answer: a second redemption costs less than no token.
      told("failed");
      return "redeem";
    }
  }

  /** Gives the lease back. */
  async end(): Promise<void> {
    this.isOver = true;
    clearTimeout(this.renewing);
    const { name } = this;
    this.name = undefined;
    if (name !== undefined) {
      await this.release(name);
    }
  }

  private async release(name: string): Promise<void> {
    const { backend, guard } = this.records;
    try {
      await guard.run((signal) => backend.release?.(name, this.id, signal) ?? Promise.resolve());
    } catch {
      // It ends by itself.
    }
  }

  private async held(name: string): Promise<boolean> {
    const { backend, guard } = this.records;
    // The database may take a request whose answer is late, or that was sent before the call ended: it is given back all the same.
    const asked = async (signal: AbortSignal) => {
      const taken = (await backend.lease?.(name, this.id, LIFE, signal)) ?? true;
      if (taken && (this.isOver || signal.aborted)) {
        await this.release(name);
        return false;
      }
      return taken;
    };
    const got = await guard.run(asked);
    if (got) {
      this.name = name;
      this.renew(name);
    }
    return got;
  }

  private renew(name: string): void {
    clearTimeout(this.renewing);
    this.renewing = setTimeout(() => {
      if (this.name === name) {
        // A lease that is lost costs a second redemption; the revision keeps the record right.
        this.held(name).catch(() => {});
      }
    }, LIFE / 3);
    this.renewing.unref();
  }

  private async isOvertaken(before: Uint8Array | null): Promise<boolean> {
    const now = await this.records.raw(this.place.name);
    if (now === null || before === null) {
      return now !== before;
    }
    return !revisionOf(now).equals(before);
  }
}
