// What every persistence of this package has in common: verification, and its handle on the native cache.
import { promises as files } from "node:fs";
import { type AbortOptions, type AbortSignalLike, orAborted, throwIfAborted } from "../abort";
import { PersistenceError } from "../error";
import { reportTo } from "../events";
import { Cache, type CacheDescription } from "../handle/cache";
import { readHeld, writeHeld } from "../handle/held";
import { Lock } from "../handle/lock";
import { lockLimit } from "../lock-options";
import type { Logger } from "../logger";
import { placeOf } from "../place";
import type { IPersistence, PersistenceInfo } from "../types";
import { VERSION } from "../version";
import { KIN, type Kin } from "./kin";
import { isUntouched } from "./untouched";

const PROBE = "Written and read back to find out whether this store works";

/** The common base of the persistences of this package. */
export abstract class BasePersistence {
  /** A persistence of the same class in the same directory, under a random name. */
  abstract createForPersistenceValidation(): Promise<IPersistence>;

  /** What kind of place this is and how well it is protected. */
  abstract info(): Promise<PersistenceInfo>;

  /**
   * Writes a probe under a random name beside the real cache, reads it back and removes it.
   *
   * @throws PersistenceError `CachePersistenceError` when any of it fails; `cause` says which.
   */
  async verifyPersistence(): Promise<boolean> {
    try {
      // One native call does it all, unless a method was replaced, which then has to see its call.
      await (isUntouched(this)
        ? nativeCache(this).ready({ verify: true }, lockLimit())
        : this.verifyByCalls());
      return true;
    } catch (cause) {
      throw notVerified(cause);
    }
  }

  /** @internal */
  [KIN](this: IPersistence & BasePersistence): Kin {
    return {
      version: VERSION,
      native: () => (isUntouched(this) ? nativeCache(this) : undefined),
      lock: () => lockOf(this),
      place: () => placeOf(this),
    };
  }

  private async verifyByCalls(): Promise<void> {
    const probe = await this.createForPersistenceValidation();
    try {
      await probe.save(PROBE);
      const found = await probe.load();
      if (found !== PROBE) {
        throw PersistenceError.createPersistenceNotVerifiedError(
          found ? "What was read is not what was written" : "What was written could not be read",
        );
      }
    } finally {
      await probe.delete();
      // Remove the lock file too: no other process uses this random name.
      await files.rm(`${probe.getFilePath()}.tk-lock`, { force: true });
    }
  }
}

/**
 * @internal Stores `contents` as they are.
 *
 * A signal ends the wait for the lock, and nothing is written then; a write that has begun is carried on.
 */
export async function storeContents(
  persistence: IPersistence,
  contents: string | Uint8Array,
  { signal }: AbortOptions = {},
): Promise<void> {
  const cache = nativeCache(persistence);
  const store = (held: number) =>
    signal === undefined || held !== 0
      ? cache.replace(contents, held, lockLimit())
      : storeUnlessAborted(cache, contents, signal);
  await writeHeld(placeOf(persistence), store, contents);
}

async function storeUnlessAborted(
  cache: Cache,
  contents: string | Uint8Array,
  signal: AbortSignalLike,
): Promise<void> {
  throwIfAborted(signal);
  const lock = Lock.ofCache(cache);
  const acquired = lock.acquire(lockLimit());
  let hold: number;
  try {
    hold = await orAborted(signal, () => acquired);
  } catch (error) {
    // Release a hold that arrives after the abort, so that the next waiter gets the lock at once.
    acquired.then(
      (unused) => lock.release(unused),
      () => undefined,
    );
    throw error;
  }
  try {
    lock.pin(hold);
    await cache.replace(contents, hold, lockLimit());
  } finally {
    await lock.release(hold);
  }
}

/** @internal What is stored; a signal ends the wait. */
export function loadContents(
  persistence: IPersistence,
  { signal }: AbortOptions = {},
): Promise<string | null> {
  return orAborted(signal, async () => {
    const cache = nativeCache(persistence);
    return readHeld(placeOf(persistence), (held) => cache.load(held));
  });
}

/** @internal What is stored, as bytes. */
export async function loadBytes(persistence: IPersistence): Promise<Buffer | null> {
  const cache = nativeCache(persistence);
  return readHeld(placeOf(persistence), (held) => cache.loadBytes(held));
}

/** @internal Removes what is stored; whether anything was. */
export async function removeContents(persistence: IPersistence): Promise<boolean> {
  const cache = nativeCache(persistence);
  return writeHeld(placeOf(persistence), (held) => cache.remove(held, lockLimit()));
}

/** The lock of a persistence, or of one whose methods a program has replaced, as its class would have it. */
function lockOf(persistence: IPersistence): Lock {
  try {
    return Lock.ofCache(nativeCache(persistence));
  } catch (error) {
    // A store that this platform does not have still has a file.
    if ((error as PersistenceError).code !== "not_supported") {
      throw error;
    }
    return Lock.beside(placeOf(persistence));
  }
}

/** @internal What verification fails with. */
export function notVerified(cause: unknown): PersistenceError {
  const code = (cause as { code?: string } | null)?.code;
  return PersistenceError.createCachePersistenceError(
    `Verifing persistence failed with the error: ${cause}`,
    code === undefined ? { cause } : { cause, code },
  );
}

const opened = new WeakMap<object, Cache>();

/** @internal The native cache of a persistence, opened on first use so that import and construction need no binary. */
export function nativeCache(persistence: object): Cache {
  let cache = opened.get(persistence);
  if (cache === undefined) {
    const { [DESCRIBE]: describe, getLogger } = persistence as Described;
    cache = new Cache(describe.call(persistence), reportTo(getLogger.call(persistence)));
    opened.set(persistence, cache);
  }
  return cache;
}

/** @internal Makes an open cache the one of a persistence. */
export function adopt<P extends object>(persistence: P, cache: Cache): P {
  opened.set(persistence, cache);
  return persistence;
}

/** @internal How a class of this package describes its cache to the addon. */
export const DESCRIBE: unique symbol = Symbol("tokenkeep.describe");

/** @internal How `PersistenceCreator` makes a persistence over a cache that it has opened. */
export const OVER: unique symbol = Symbol("tokenkeep.over");

interface Described {
  [DESCRIBE](): CacheDescription;
  getLogger(): Logger;
}
