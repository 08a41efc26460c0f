// Reading and writing the record of a partition: open, merge, prune, seal, compare and set, try again.
import { builtin } from "../builtin";
import { monotonic, setTimeout, systemTime } from "../clock";
import type { Backend, Turn } from "./backend";
import { Guard } from "./guard";
import type { KeyRing, KeyShelf, RecordKeys } from "./keys/ring";
import type { Level1 } from "./l1";
import { endOf, type Lifetimes } from "./lifetime";
import { headerOf, merge, open, type Partition, partition, revisionOf, seal, survey } from "./record";
import { isWatched, type Tell, trace } from "./signals";
import { isStoreError, ofKind, StoreError } from "./store-error";

/** Within this time clocks of two servers may differ, in milliseconds. */
const GRACE = 60_000;
/** After so long a write that is always overtaken gives up. */
const WRITE_LIMIT = 5_000;
/** How long a writer that has lost twice reserves the record. */
const RESERVE = 200;
/** How long a copy of a damaged record is kept. */
const KEEP_DAMAGED = 7 * 24 * 3_600_000;
/** A ring of wrapped keys is sealed with this: what is in it is wrapped already. */
const OPEN_KEY = Buffer.alloc(32);
const RING_LIFE = 10 * 365 * 24 * 3_600_000;

/** What is stored of a partition. */
export interface Stored {
  /** The cache; null where there is none. */
  readonly content: string | null;
  /** What a write has to name to replace what is there; null where nothing is there. */
  readonly revision: Uint8Array | null;
  /** Bytes that are there and of no use. */
  readonly damaged?: Uint8Array;
}

/** What a client did, given by its cache before and after. */
export interface Change {
  /** The stored cache that the client loaded. */
  readonly held: string | null;
  /** The client's cache after loading; null if it only adds. */
  readonly base: string | null;
  readonly ours: string;
  /** Whose entries the record takes, if not its partition's. Entries of others are left out instead of refused. */
  readonly owner?: Partition;
}

export interface RecordsOptions {
  readonly backend: Backend;
  readonly keys: KeyRing;
  readonly prefix: string;
  readonly lifetimes: Lifetimes;
  readonly timeout: number;
  readonly maxRecord: number;
  readonly discardUnknown: boolean;
  readonly level1: (kind: string) => Level1 | undefined;
  readonly tell: Tell;
}

interface Plan {
  readonly value: Buffer | null;
  readonly ttl: number;
  readonly end: number;
  readonly dropped: number;
}

export class Records {
  readonly guard: Guard;
  private readonly shelf: KeyShelf;

  constructor(readonly options: RecordsOptions) {
    this.guard = new Guard(options.timeout, options.tell);
    this.shelf = new RingShelf(this);
  }

  get backend(): Backend {
    return this.options.backend;
  }

  place(kind: string, text: string, other?: string): Partition {
    return partition(this.options.prefix, kind, text, other);
  }

  async keys(): Promise<RecordKeys> {
    return this.options.keys.current(this.shelf);
  }

  /**
   * The record of a partition. With `heal`, damaged bytes count as nothing: the next write replaces them.
   *
   * @throws StoreError where it cannot be read or opened; never for "nothing there".
   */
  async read(place: Partition, { heal = false, level1 = true } = {}): Promise<Stored> {
    const started = isWatched() ? monotonic() : 0;
    const cache = level1 ? this.options.level1(place.kind) : undefined;
    const near = cache?.get(place.name);
    try {
      const bytes = near ?? (await this.raw(place.name));
      const stored = await this.opened(place, bytes, heal);
      if (near === undefined && bytes !== null && stored.content !== null) {
        cache?.set(place.name, bytes, headerOf(bytes)?.expires ?? 0);
      }
      if (started > 0) {
        this.traced("read", place, started, stored.content === null ? "absent" : "hit", {
          level: near === undefined ? "backend" : "l1",
          bytes: bytes?.length ?? 0,
        });
      }
      return stored;
    } catch (error) {
      this.failed("read", place, started, error);
      throw ofKind(error, place.kind);
    }
  }

  /** The record's bytes, whatever they are. */
  raw(name: string): Promise<Uint8Array | null> {
    return this.guard.run((signal) => this.backend.read(name, signal));
  }

  /**
   * Stores a change. Others' changes since it was read stay.
   *
   * @throws StoreError `conflict` where a part was left out because its account was signed out meanwhile; the rest is stored.
   */
  async write(place: Partition, change: Change, stored: Stored, { heal = false } = {}): Promise<void> {
    const started = monotonic();
    let conflicts = 0;
    try {
      const done = await this.swapped(place, change, stored, heal, () => {
        conflicts += 1;
        return conflicts;
      });
      if (isWatched()) {
        const outcome = done === undefined ? "unchanged" : done.value === null ? "deleted" : "stored";
        this.traced("write", place, started, outcome, { bytes: done?.value?.length ?? 0, conflicts });
      }
      if (done !== undefined && done.dropped > 0) {
        throw new StoreError(
          "conflict",
          "A token was not stored because its account has been signed out meanwhile. Sign in again if it is still wanted",
        );
      }
    } catch (error) {
      this.failed("write", place, started, error);
      throw ofKind(error, place.kind);
    }
  }

  /** Does everything that a sign-in needs, with a record of its own that is gone afterwards. */
  async tryOut(): Promise<void> {
    const { guard, backend } = this;
    const { randomBytes } = builtin("node:crypto");
    const { sealing } = await this.keys();
    const place = this.place("own-check", randomBytes(12).toString("hex"));
    const [id, ttl, now] = [randomBytes(8).toString("hex"), this.options.timeout, systemTime()];
    const value = seal(place, sealing, "{}", now, now + ttl);
    const turn = { id, reserve: 0 };
    await guard.run((signal) => backend.read(place.name, signal));
    await guard.run((signal) => backend.swap(place.name, null, value, ttl, turn, signal));
    await guard.run(
      (signal) => backend.lease?.(`${place.name}:l:check`, id, ttl, signal) ?? Promise.resolve(true),
    );
    await guard.run((signal) => backend.release?.(`${place.name}:l:check`, id, signal) ?? Promise.resolve());
    await guard.run((signal) => backend.remove([place.name], signal));
  }

  /** A record from this process's memory, opened. */
  openNear(place: Partition, bytes: Uint8Array): Promise<Stored> {
    return this.opened(place, bytes, true);
  }

  /** Keeps a change that the database could not take, sealed, in this process's memory, where the kind allows it. */
  async keepNear(place: Partition, change: Change): Promise<void> {
    const level1 = this.options.level1(place.kind);
    if (level1 !== undefined) {
      const plan = this.plan(place, change, { content: change.held, revision: null }, await this.keys());
      if (plan?.value) {
        level1.set(place.name, plan.value, plan.end);
      }
    }
  }

  private async swapped(
    place: Partition,
    change: Change,
    stored: Stored,
    heal: boolean,
    conflict: () => number,
  ): Promise<Plan | undefined> {
    const started = monotonic();
    const id = builtin("node:crypto").randomBytes(8).toString("hex");
    let theirs = stored;
    let reserve = 0;
    for (;;) {
      const keys = await this.keys();
      const plan = this.plan(place, change, theirs, keys);
      if (plan === undefined || (plan.value === null && theirs.revision === null)) {
        return plan;
      }
      const answer = await this.attempt(place, theirs, plan, { id, reserve }, started);
      if (answer === "stored") {
        return this.finished(place, theirs, plan);
      }
      if (answer !== "again") {
        // A second conflict reserves the record, so that the third attempt wins.
        reserve = conflict() >= 1 ? RESERVE : 0;
        if (this.backend.exclusively !== undefined) {
          return this.alone(place, change, heal);
        }
        theirs = await this.opened(place, answer.current, heal);
      }
      if (monotonic() - started > WRITE_LIMIT) {
        throw new StoreError(
          "conflict",
          `The record was changed by other servers for ${WRITE_LIMIT} ms without a pause. Try again`,
        );
      }
    }
  }

  /** One conditional write: stored, to be tried again as it is, or overtaken by another. */
  private async attempt(
    place: Partition,
    theirs: Stored,
    plan: Plan,
    turn: Turn,
    started: number,
  ): Promise<"stored" | "again" | { current: Uint8Array | null }> {
    try {
      const answer = await this.guard.run((signal) =>
        this.backend.swap(place.name, theirs.revision, plan.value, plan.ttl, turn, signal),
      );
      if (answer.done) {
        return "stored";
      }
      if ("current" in answer) {
        return answer;
      }
      await pause(1 + Math.random() * 3);
      return "again";
    } catch (error) {
      if (
        !isStoreError(error) ||
        !error.retryable ||
        this.guard.isOpen ||
        monotonic() - started > this.options.timeout
      ) {
        // It may have been written all the same: the answer was lost. A look tells, if the database answers that one.
        if (isStoreError(error) && error.code === "timeout" && !this.guard.isOpen) {
          return (await this.arrived(place, theirs, plan)) ?? Promise.reject(error);
        }
        throw error;
      }
      await pause(20 + Math.random() * 30);
      return (await this.arrived(place, theirs, plan)) ?? "again";
    }
  }

  /** After a write with an unknown outcome: whether it is there, or another's; undefined if nothing has changed. */
  private async arrived(
    place: Partition,
    theirs: Stored,
    plan: Plan,
  ): Promise<"stored" | { current: Uint8Array | null } | undefined> {
    const current = await this.raw(place.name);
    const is = (other: Uint8Array | null) =>
      current === null || other === null ? current === other : revisionOf(current).equals(other);
    if (is(plan.value === null ? null : revisionOf(plan.value))) {
      return "stored";
    }
    return is(theirs.revision) ? undefined : { current };
  }

  /** The change under a lock of the database's own. */
  private async alone(place: Partition, change: Change, heal: boolean): Promise<Plan | undefined> {
    const keys = await this.keys();
    let plan: Plan | undefined;
    await this.guard.run((signal) =>
      (this.backend.exclusively as NonNullable<Backend["exclusively"]>).call(
        this.backend,
        place.name,
        (current) => {
          plan = this.plan(place, change, this.openedWith(place, current, keys, heal), keys);
          return plan;
        },
        signal,
      ),
    );
    return plan && this.finished(place, { content: null, revision: null }, plan);
  }

  private async finished(place: Partition, theirs: Stored, plan: Plan): Promise<Plan> {
    const level1 = this.options.level1(place.kind);
    if (plan.value === null) {
      level1?.delete(place.name);
    } else {
      level1?.set(place.name, plan.value, plan.end);
    }
    if (theirs.damaged !== undefined) {
      await this.keepDamaged(place, theirs.damaged);
    }
    return plan;
  }

  /** What to write; undefined where the record says it all already. */
  private plan(place: Partition, change: Change, theirs: Stored, keys: RecordKeys): Plan | undefined {
    const now = systemTime();
    const owner = change.owner ?? place;
    const own = survey(owner, change.ours, now);
    if (own.foreign > 0) {
      const message =
        `The client holds ${own.foreign} entries of others than the ${place.kind} whose record is written. ` +
        "Use one client for each request";
      if (change.owner === undefined) {
        throw new StoreError("wrong_partition", `${message}; nothing was written`);
      }
      this.options.tell({ type: "foreign_entries", partitionKind: place.kind, message });
    }
    const ours = own.content ?? change.ours;
    // The cache is as it was loaded, so that what the client made of it is the result.
    const simple = theirs.content === change.held && (change.held === null || change.base === change.held);
    let content = ours;
    let found = own;
    let dropped = 0;
    if (!simple) {
      const base =
        change.base === null || change.owner === undefined ? change.base : only(owner, change.base, now);
      const merged = merge(change.held, base, ours, theirs.content);
      dropped = merged.dropped;
      found = survey(owner, merged.content, now);
      content = found.content ?? merged.content;
    }
    if (content === theirs.content) {
      return dropped > 0 ? { value: null, ttl: 0, end: 0, dropped } : undefined;
    }
    const end = endOf(found, place.kind, now, this.options.lifetimes);
    if (found.isEmpty || end <= now) {
      return { value: null, ttl: 0, end, dropped };
    }
    const value = seal(place, keys.sealing, content, now, end);
    if (value.length > this.options.maxRecord) {
      throw new StoreError(
        "too_large",
        `The record has ${value.length} bytes, more than the limit of ${this.options.maxRecord} ("maxRecord"). ` +
          "What was stored before is unharmed",
      );
    }
    return { value, ttl: end - now, end, dropped };
  }

  private async opened(place: Partition, bytes: Uint8Array | null, heal: boolean): Promise<Stored> {
    if (bytes === null) {
      return { content: null, revision: null };
    }
    try {
      return this.openedWith(place, bytes, await this.keys(), heal, true);
    } catch (error) {
      if (!isStoreError(error) || error.code !== "missing_key") {
        throw error;
      }
      // Another server may have a key that this one has not read yet.
      await this.options.keys.reload(this.shelf);
      return this.openedWith(place, bytes, await this.keys(), heal);
    }
  }

  private openedWith(
    place: Partition,
    bytes: Uint8Array | null,
    keys: RecordKeys,
    heal: boolean,
    strict = false,
  ): Stored {
    if (bytes === null) {
      return { content: null, revision: null };
    }
    const revision = revisionOf(bytes);
    const header = headerOf(bytes);
    try {
      const content = open(place, keys.all, bytes);
      const isOver = header !== undefined && header.expires + GRACE < systemTime();
      return { content: isOver ? null : content, revision };
    } catch (error) {
      if (!isStoreError(error)) {
        throw error;
      }
      const { tell, discardUnknown } = this.options;
      if (error.code === "missing_key" && discardUnknown && !strict) {
        tell({
          type: "unknown_key",
          partitionKind: place.kind,
          message: "A record of an unknown key counts as absent",
          cause: error,
        });
        return { content: null, revision };
      }
      if (error.code === "damaged" && heal) {
        tell({
          type: "damaged_replaced",
          partitionKind: place.kind,
          message: "A damaged record is replaced",
          cause: error,
        });
        return { content: null, revision, damaged: bytes };
      }
      if (error.code === "damaged") {
        throw new StoreError(
          "damaged",
          `${error.message}. The next sign-in of this user replaces it, and a copy is kept for a week`,
          { cause: error },
        );
      }
      throw error;
    }
  }

  /** Keeps what a write replaced without having read it. */
  private async keepDamaged(place: Partition, bytes: Uint8Array): Promise<void> {
    const turn = { id: "", reserve: 0 };
    try {
      await this.guard.run((signal) =>
        this.backend.swap(`${place.name}:x`, null, bytes, KEEP_DAMAGED, turn, signal),
      );
    } catch (cause) {
      // The write itself has been acknowledged, and the copy is for an operator's eyes.
      this.options.tell({
        type: "damaged_replaced",
        partitionKind: place.kind,
        message: "No copy of the damaged record could be kept",
        cause,
      });
    }
  }

  private failed(operation: "read" | "write", place: Partition, started: number, error: unknown): void {
    if (isWatched()) {
      this.traced(operation, place, started, isStoreError(error) ? error.code : "failed", {});
    }
  }

  private traced(
    operation: "read" | "write",
    place: Partition,
    started: number,
    outcome: string,
    more: { level?: "l1" | "backend"; bytes?: number; conflicts?: number },
  ): void {
    trace({ operation, kind: place.kind, outcome, milliseconds: monotonic() - started, ...more });
  }
}

/** The text of a ring of wrapped keys, as a record. */
class RingShelf implements KeyShelf {
  constructor(private readonly records: Records) {}

  async load() {
    const place = this.records.place("key", "ring");
    const bytes = await this.records.raw(place.name);
    return bytes === null
      ? { text: null, revision: null }
      : { text: open(place, [OPEN_KEY], bytes), revision: revisionOf(bytes) };
  }

  async save(text: string, revision: Uint8Array | null): Promise<boolean> {
    const place = this.records.place("key", "ring");
    const now = systemTime();
    const value = seal(place, OPEN_KEY, text, now, now + RING_LIFE);
    const turn = { id: "", reserve: 0 };
    const answer = await this.records.guard.run((signal) =>
      this.records.backend.swap(place.name, revision, value, RING_LIFE, turn, signal),
    );
    return answer.done;
  }
}

function only(owner: Partition, content: string, now: number): string {
  return survey(owner, content, now).content ?? content;
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
