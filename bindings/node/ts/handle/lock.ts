// The core's lock between processes and its merge, for persistences written in JavaScript.
import type { MergeReply, NativeLock } from "../face";
import type { Cache, Change } from "./cache";
import { NativeFailure, translate } from "./errors";
import { underHold } from "./held";
import { call, link, opened } from "./link";

/** A lock whose holds have numbers. */
export class Lock {
  private constructor(private readonly native: NativeLock) {}

  /** The lock that a write of `cache` takes. */
  static ofCache(cache: Cache): Lock {
    return new Lock(cache.lock());
  }

  /** The lock beside an absolute path. */
  static beside(path: string): Lock {
    const { addon, channel } = link();
    try {
      return new Lock(opened(() => new addon.Lock(channel, path)));
    } catch (error) {
      throw translate(error);
    }
  }

  /** The lock between the users of something that only this process can see. */
  static within(name: string): Lock {
    const { addon, channel } = link();
    try {
      return new Lock(opened(() => addon.Lock.within(channel, name)));
    } catch (error) {
      throw translate(error);
    }
  }

  /** Waits at most `limit` milliseconds; gives the number of the hold, which expires after ten seconds. */
  acquire(limit: number): Promise<number> {
    return ask((id) => this.native.acquire(id, limit));
  }

  /** Ends the hold's expiry; `false` when it has expired already. */
  pin(hold: number): boolean {
    return this.native.pin(hold);
  }

  /** Runs `action`, which loads, or saves `content`, as the owner of a hold that locks the cache at `path`. */
  under<T>(path: string, hold: number, action: () => Promise<T>, content?: string): Promise<T> {
    return underHold(path, hold, action, content);
  }

  /** Settles when the lock is free. A hold that has expired is none. */
  release(hold: number): Promise<void> {
    return ask((id) => this.native.release(id, hold));
  }
}

/** A merged cache, and the error to raise once it is saved: a change that was dropped. */
export interface Merged {
  readonly content: string;
  readonly keys: readonly string[] | null;
  readonly conflict: unknown;
}

/** Applies a client's change to `theirs`. Without a base only additions count. */
export async function merge(change: Change, theirs: string | null, keys: boolean): Promise<Merged> {
  const { held, base, ours, disturbed } = change;
  const { addon, channel } = link();
  const reply = await ask<MergeReply>((id) =>
    addon.merge(channel, id, held, base ?? undefined, ours, theirs, disturbed, keys),
  );
  const conflict = reply.conflict && translate(new NativeFailure(reply.conflict));
  return { content: reply.content, keys: reply.keys ?? null, conflict };
}

/** The key of every entry of a cache; none for content that is no token cache. */
export function entryKeys(text: string): Promise<string[]> {
  const { addon, channel } = link();
  return ask((id) => addon.keys(channel, id, text));
}

async function ask<T>(start: (id: number) => void): Promise<T> {
  try {
    return await call<T>(start);
  } catch (error) {
    throw translate(error);
  }
}
