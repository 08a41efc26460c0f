// One cache in a plaintext file: reading without the lock, writing under it, as the addon's `Cache` does.
import type {
  CommitReply,
  HoldReply,
  InfoReply,
  NativeCache,
  NativeLock,
  SnapshotReply,
} from "../native/addon";
import type { Channel } from "./channel";
import { isCache, isWhole, keysOf, parse, withoutMark } from "./document";
import { Failed, failed } from "./failure";
import {
  ABSENT,
  keepCopy,
  load,
  prepare,
  remove,
  replace,
  SETTLED_MS,
  type Stamp,
  settled,
  stampNow,
  sweep,
  verify,
} from "./file";
import { lock as lockFor } from "./lock";
import type { Held } from "./lock-file";
import { type Change, type Merged, merge } from "./merge";
import { SharedLock } from "./shared-lock";

/** How long a reader waits for the lock when the file is being written beside it. */
const READER_LIMIT = 1_000;

/** What a store held at one moment. */
interface Snapshot {
  readonly generation: number;
  readonly bytes: Buffer | null;
  readonly stamp: Stamp;
}

/** Nothing, or what begins like a cache and does not end like one. */
function mayBeHalf(content: Buffer): boolean {
  return content.length === 0 || !isWhole(content.toString());
}

/** What belongs to a hold. */
interface Scene {
  readonly snapshot: Snapshot;
  /** Damage met under it is an error instead of being set aside. */
  readonly strict: boolean;
}

let lastGeneration = 0;

export class FileCache implements NativeCache {
  private swept = false;
  private latest: Snapshot = { generation: 0, bytes: null, stamp: { ...ABSENT, trusted: false } };

  constructor(
    private readonly channel: Channel,
    private readonly source: number,
    private readonly path: string,
    private readonly synced: boolean,
  ) {}

  isCurrent(generation: number): boolean {
    const { latest } = this;
    return (
      generation === latest.generation &&
      latest.stamp.trusted &&
      stampNow(this.path).print === latest.stamp.print
    );
  }

  prepare(call: number): void {
    this.channel.answer(call, () => prepare(this.path));
  }

  read(call: number, known: number, force: boolean, keys: boolean): void {
    this.channel.answer(call, async () => view(await this.snapshot(force), known, keys));
  }

  loadBytes(call: number, hold: number): void {
    this.channel.answer(call, async () => {
      const lock = hold === 0 ? undefined : (this.channel.pin(hold)?.held ?? expired());
      const { bytes } = await this.snapshot(true, lock);
      // A copy: what a program does to its bytes must not change ours.
      return bytes === null ? null : Buffer.from(bytes);
    });
  }

  begin(call: number, known: number, force: boolean, keys: boolean, limit: number, strict: boolean): void {
    this.channel.answer(call, async (): Promise<HoldReply> => {
      const held = await lockFor(this.path, limit);
      try {
        const snapshot = await this.snapshot(force, held);
        return { hold: this.channel.hold(held, { snapshot, strict }), ...view(snapshot, known, keys) };
      } catch (error) {
        held.release();
        throw error;
      }
    });
  }

  commit(
    call: number,
    hold: number,
    held: string | null,
    base: string | null | undefined,
    ours: string,
    disturbed: boolean,
    keys: boolean,
    limit: number,
    strict: boolean,
  ): void {
    this.channel.answer(call, async (): Promise<CommitReply> => {
      const { held: lock, scene } = hold === 0 ? await this.locked(limit, strict) : this.pinned(hold);
      const { snapshot: now } = scene;
      try {
        const stored = textOf(now.bytes);
        if (base === null && !disturbed && stored !== null) {
          // The client saw all of what is stored and nothing came in between: there is nothing to merge with.
          return after(await this.save(lock, ours, now), ours, keys);
        }
        const from = held ?? stored;
        const change = { held: from, base: base === null ? from : (base ?? null), ours, disturbed };
        const { content, conflict } = await this.merged(change, scene);
        const snapshot = content === stored ? now : await this.save(lock, content, now);
        if (conflict !== undefined) {
          throw conflict;
        }
        return after(snapshot, ours, keys);
      } finally {
        this.channel.release(hold);
        if (hold === 0) {
          lock.release();
        }
      }
    });
  }

  replace(call: number, hold: number, contents: string | Uint8Array, limit: number): void {
    // Copied at once: the program may go on with its buffer.
    const bytes = typeof contents === "string" ? Buffer.from(contents) : Buffer.from(contents);
    this.channel.answer(call, () =>
      this.under(hold, limit, async (lock) => {
        await this.save(lock, bytes, await this.snapshot(false, lock));
      }),
    );
  }

  remove(call: number, hold: number, limit: number): void {
    this.channel.answer(call, () =>
      this.under(hold, limit, async () => {
        const removed = await remove(this.path);
        this.forget();
        return removed;
      }),
    );
  }

  setAside(call: number, hold: number, reason: string): void {
    this.channel.answer(call, async () => {
      const { scene } = this.pinned(hold);
      await this.keepAside(scene.snapshot.bytes, reason);
    });
  }

  release(call: number, hold: number): void {
    this.channel.answer(call, async () => this.channel.release(hold));
  }

  lock(): NativeLock {
    return new SharedLock(this.channel, this.path);
  }

  verify(call: number): void {
    this.channel.answer(call, () => verify(this.path));
  }

  /** A plaintext file wants no passphrase. */
  wanted(): boolean {
    return false;
  }

  supply(): void {}

  info(call: number): void {
    const info: InfoReply = {
      backend: "plaintext-file",
      protection: "plaintext",
      survivesReboot: true,
      location: this.path,
      crashSafe: true,
    };
    this.channel.answer(call, async () => info);
  }

  /** What is stored; read under `lock` where there is one. */
  private async snapshot(force: boolean, lock?: Held): Promise<Snapshot> {
    const { latest } = this;
    if (!force && this.isCurrent(latest.generation)) {
      return latest;
    }
    let loaded = await load(this.path);
    // An empty file that has been so for a while is one, and costs no lock.
    const isEmpty = loaded.content?.length === 0 && loaded.ageMs >= SETTLED_MS;
    if (loaded.content !== null && !isEmpty && mayBeHalf(loaded.content)) {
      // Somebody may be writing it in place. Those that know the lock don't while we have it; one whose lock was taken
      // from it, as a dead one's, may.
      const own = lock ?? (await lockFor(this.path, READER_LIMIT));
      try {
        loaded = await settled(this.path, mayBeHalf);
      } finally {
        if (own !== lock) {
          own.release();
        }
      }
    }
    const { content, stamp } = loaded;
    const same = latest.generation > 0 && isEqual(content, latest.bytes);
    return this.publish(same ? { ...latest, stamp } : fresh(content, stamp), latest);
  }

  private publish(snapshot: Snapshot, known: Snapshot): Snapshot {
    // What was published meanwhile is newer than what this one read.
    if (this.latest === known || snapshot.generation > this.latest.generation) {
      this.latest = snapshot;
    }
    return snapshot;
  }

  private async save(lock: Held, content: string | Uint8Array, old: Snapshot): Promise<Snapshot> {
    if (!this.swept) {
      this.swept = true;
      await sweep(this.path);
    }
    const bytes = typeof content === "string" ? Buffer.from(content) : Buffer.from(content);
    const { synced } = this;
    const isAllowed = () => lock.isOurs();
    const stamp = await replace(this.path, bytes, { synced, after: old.stamp.modifiedMs, isAllowed });
    const snapshot = fresh(bytes, stamp);
    this.latest = snapshot;
    return snapshot;
  }

  private async merged(change: Change, { snapshot: now, strict }: Scene): Promise<Merged> {
    if (!isCache(parse(change.ours))) {
      // What is no token cache is replaced as a whole.
      return { content: change.ours, conflict: undefined };
    }
    try {
      return merge(change, textOf(now.bytes));
    } catch (error) {
      if (!(error instanceof Failed) || error.failure.kind !== "damaged" || strict) {
        throw error;
      }
      await this.keepAside(now.bytes, "it is not a token cache");
      return merge({ ...change, held: null, base: null }, null);
    }
  }

  private async keepAside(bytes: Buffer | null, reason: string): Promise<void> {
    if (bytes === null) {
      return;
    }
    const copy = await keepCopy(this.path, bytes);
    const message = `The content of ${this.path} is of no use: ${reason}. It is kept as ${copy}, and the cache starts empty`;
    this.channel.tell({ source: this.source, kind: "set_aside", message, path: this.path, copy });
  }

  /** Runs `work` under a hold, which stays, or under a lock of its own. */
  private async under<T>(hold: number, limit: number, work: (lock: Held) => Promise<T>): Promise<T> {
    if (hold !== 0) {
      return work(this.channel.pin(hold)?.held ?? expired());
    }
    const lock = await lockFor(this.path, limit);
    try {
      return await work(lock);
    } finally {
      lock.release();
    }
  }

  private async locked(limit: number, strict: boolean): Promise<{ held: Held; scene: Scene }> {
    const held = await lockFor(this.path, limit);
    try {
      return { held, scene: { snapshot: await this.snapshot(false, held), strict } };
    } catch (error) {
      held.release();
      throw error;
    }
  }

  private pinned(hold: number): { held: Held; scene: Scene } {
    const { held, scene } = this.channel.pin(hold) ?? expired();
    return scene === undefined ? expired() : { held, scene: scene as Scene };
  }

  private forget(): void {
    this.latest = { ...this.latest, stamp: { ...this.latest.stamp, trusted: false } };
  }
}

function expired(): never {
  throw failed("expired", "The lock was given back because its owner took too long");
}

function fresh(bytes: Buffer | null, stamp: Stamp): Snapshot {
  lastGeneration += 1;
  return { generation: lastGeneration, bytes, stamp };
}

function isEqual(one: Buffer | null, other: Buffer | null): boolean {
  return one === null || other === null ? one === other : one.equals(other);
}

function textOf(bytes: Buffer | null): string | null {
  return bytes === null ? null : withoutMark(bytes.toString());
}

/** The snapshot for somebody who knows the generation `known`. */
function view({ generation, bytes }: Snapshot, known: number, keys: boolean): SnapshotReply {
  if (generation === known) {
    return { generation };
  }
  const content = textOf(bytes);
  return keys ? { generation, content, keys: keysOf(content) } : { generation, content };
}

/** The snapshot for somebody who has just handed in `ours`. */
function after({ generation, bytes }: Snapshot, ours: string, keys: boolean): CommitReply {
  const content = textOf(bytes);
  return {
    generation,
    ...(content !== ours && { content }),
    ...(keys && { keys: keysOf(ours) }),
  };
}
