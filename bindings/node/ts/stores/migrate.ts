// Moving what one persistence holds into another, without losing a sign-in.
import { type AbortOptions, orAborted } from "../abort";
import { wrongArgument } from "../arguments";
import { PersistenceError } from "../error";
import { migrateCaches } from "../handle/migrate";
import { type LockOptions, lockLimit } from "../lock-options";
import { log } from "../logger";
import { infoOf } from "../spelling";
import type { IPersistence, PersistenceInfo } from "../types";
import { nativeOf } from "./kin";

/** How to move. */
export interface MigrateOptions extends LockOptions, AbortOptions {
  /** Only find out what would be done: both are read, nothing is written. */
  dryRun?: boolean;
}

/** What a migration did, or, as a dry run, would do. */
export interface MigrationReport {
  /** The store that was left. */
  readonly from: PersistenceInfo;
  /** The store that has it all now. */
  readonly to: PersistenceInfo;
  /**
   * How many entries of the cache went over: those that the new store did not have, or had in an older version. Content
   * that is no token cache moves as a whole and counts as one.
   */
  readonly entries: number;
  /** How many entries stayed behind because the new store had a newer version. */
  readonly outdated: number;
  /**
   * What became of the old copy: there was none (`nothing`); its bytes were overwritten and its place holds `{}`
   * (`overwritten`: on solid-state disks, in snapshots and backups older blocks may live on); its place holds `{}` but the
   * old bytes could not be overwritten (`released`); the keystore holds `{}` (`emptied`).
   */
  readonly oldCopy: "nothing" | "overwritten" | "released" | "emptied";
  /** Why the old bytes could not be overwritten, where they were only `released`. */
  readonly reason?: string;
  /** An earlier migration had been interrupted when everything had arrived; only the old copy was left to be removed. */
  readonly resumed: boolean;
  /** Whether nothing was done. */
  readonly dryRun: boolean;
}

/**
 * Moves what one persistence holds into another.
 *
 * ```js
 * const from = await FilePersistence.create(cachePath);
 * const to = await LibSecretPersistence.create(`${cachePath}.marker`, "my-app", "tokens");
 * console.log(await migrate(from, to, { dryRun: true }));
 * await migrate(from, to);
 * ```
 *
 * Moves everything that `from` holds into `to` and empties `from`. What `to` holds already stays; of two versions of an
 * entry the newer is kept. The content is read back from `to` before the old copy is touched, and after any failure
 * everything is still in `from`: a migration that was interrupted, even by a crash, is finished by doing it again.
 *
 * An aborted `signal` ends the waiting: a migration that has begun is carried on, and finished by doing it again.
 *
 * Afterwards programs should use `to`. One that still uses `from` finds an empty cache, and what it writes there is moved
 * by the next migration. What a weaker store left in the very place of a better one needs no call: it is taken in when
 * the better one is verified or first used.
 *
 * @throws PersistenceError `ERR_INVALID_ARG_TYPE` for what is not exactly a file, encrypted file or keystore persistence
 * of this package; `ERR_INVALID_ARG_VALUE` when both are the same store; `ConflictError` when both hold something that is
 * no token cache; `DamagedError` or `TruncatedError` when one of them is damaged; `NotVerifiedError` when it did not read
 * back; `CrossPlatformLockError` when a lock was not free in time; otherwise those of reading `from` and writing `to`.
 */
export async function migrate(
  from: IPersistence,
  to: IPersistence,
  options: MigrateOptions = {},
): Promise<MigrationReport> {
  const dryRun = options.dryRun === true;
  const [source, target] = [native("from", from), native("to", to)];
  const report = await orAborted(options.signal, () =>
    migrateCaches(source, target, dryRun, lockLimit(options)),
  );
  if (!dryRun && report.entries > 0) {
    const text = `Moved ${report.entries} entries from ${report.from.location} to ${report.to.location}`;
    log(to.getLogger(), "info", text);
  }
  return { ...report, from: infoOf(report.from), to: infoOf(report.to), dryRun };
}

/** The native cache of a persistence. Refuses one with replaced methods, which a native migration would not call. */
function native(name: string, persistence: IPersistence) {
  if (persistence === null || typeof persistence !== "object") {
    throw wrongArgument(name, "a persistence", persistence);
  }
  const cache = nativeOf(persistence);
  if (cache !== undefined) {
    return cache;
  }
  throw PersistenceError.createFileSystemError(
    "ERR_INVALID_ARG_TYPE",
    `The "${name}" argument must be a file, encrypted file or keystore persistence of this package itself, not one ` +
      "in memory and none with methods of its own. Load from one and save to the other instead",
  );
}
