// A file encrypted with a key from one of several places, for machines without a desktop keyring.
import type { AbortOptions } from "../abort";
import { requireContents, requireDurability, requireText, wrongArgument } from "../arguments";
import type { CacheDescription, StoreDescription } from "../handle/cache";
import { keyErrors } from "../handle/errors";
import { CheckedKey } from "../handle/key";
import type { Logger, LoggerOptions } from "../logger";
import { membersOf } from "../members";
import { placeBeside, placeOf } from "../place";
import type { Durability, EncryptionKey, IPersistence, PersistenceInfo, PromptOptions } from "../types";
import {
  BasePersistence,
  DESCRIBE,
  loadContents,
  nativeCache,
  OVER,
  removeContents,
  storeContents,
} from "./base";
import { type FileOptions, FilePersistence, probeBeside } from "./file";
import { recordStore } from "./untouched";

/** What can be chosen beside the key. */
export interface EncryptedFileOptions extends PromptOptions, FileOptions {
  /**
   * The cache's own name, which is authenticated with the content: a file can be opened only under the name it was made
   * with, so that one cache's file put in the place of another's is refused. Default `"token_cache"`.
   * `PersistenceCreator` uses `serviceName/accountName`.
   */
  partition?: string;
}

/** @internal The name of a cache that was given none. */
export const PARTITION = "token_cache";

/**
 * Keeps the cache in a file encrypted with XChaCha20-Poly1305 and a key from {@link EncryptionKey}. Every write replaces
 * the file whole, under the lock between processes. A plaintext cache that stands in its place is encrypted when it is
 * first read or verified.
 *
 * Errors of the key or the file have an `errorCode` of their own, and nothing is written after them: `MissingKeyError`,
 * `WrongKeyError`, `UnknownFormatError` (written by another release), `DamagedError` (altered), `TruncatedError`;
 * `GnomeKeyringError` where the keystore that holds the key fails. The plugin sets damaged content aside when it next
 * writes, with an event; content whose key is missing or wrong stays as it is.
 *
 * ```js
 * const key = { type: "keyFile", path: "/run/secrets/cache-key" };
 * const persistence = await EncryptedFilePersistence.create("/var/lib/my-app/cache.bin", key);
 * ```
 */
export class EncryptedFilePersistence extends BasePersistence implements IPersistence {
  private constructor(
    private readonly filePersistence: FilePersistence,
    private readonly key: CheckedKey,
    private readonly partition: string,
    private readonly durability: Durability,
  ) {
    super();
    placeBeside(this, filePersistence);
  }

  /**
   * A persistence whose file exists, as with `FilePersistence.create`. The key is not looked at: `verifyPersistence` does
   * that.
   *
   * @param fileLocation The file.
   * @param key Where its key comes from.
   * @throws PersistenceError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for a description that cannot be one of a
   * key; otherwise as `FilePersistence.create`.
   */
  static async create(
    fileLocation: string,
    key: EncryptionKey,
    loggerOptions?: LoggerOptions,
    options: EncryptedFileOptions = {},
  ): Promise<EncryptedFilePersistence> {
    if (options === null || typeof options !== "object") {
      throw wrongArgument("options", "an object", options);
    }
    const { partition = PARTITION, durability: given, ...prompts } = membersOf(options);
    const durability = requireDurability(given);
    requireText("partition", partition);
    const checked = new CheckedKey(key, prompts);
    const file = await FilePersistence.create(fileLocation, loggerOptions);
    return new EncryptedFilePersistence(file, checked, partition, durability);
  }

  async save(contents: string, options?: AbortOptions): Promise<void> {
    const checked = requireContents("contents", contents);
    await storeContents(this, checked, options);
  }

  /**
   * The content, decrypted; `null` when nothing is stored, also because the key in the kernel's memory is gone after a
   * restart, which is told by an event.
   *
   * @throws PersistenceError as {@link EncryptedFilePersistence} says.
   */
  async load(options?: AbortOptions): Promise<string | null> {
    return (await loadContents(this, options)) || null;
  }

  async delete(): Promise<boolean> {
    const removed = await removeContents(this);
    if (!removed) {
      this.getLogger().warning("There is no cache file to delete", "");
    }
    return removed;
  }

  async reloadNecessary(lastSync: number): Promise<boolean> {
    return this.filePersistence.reloadNecessary(lastSync);
  }

  getFilePath(): string {
    return this.filePersistence.getFilePath();
  }

  /** The logger of this persistence. */
  getLogger(): Logger {
    return this.filePersistence.getLogger();
  }

  async createForPersistenceValidation(): Promise<EncryptedFilePersistence> {
    const file = await FilePersistence.create(probeBeside(placeOf(this)));
    return new EncryptedFilePersistence(file, this.key, this.partition, this.durability);
  }

  async info(): Promise<PersistenceInfo> {
    return nativeCache(this).info();
  }

  /** @internal */
  [DESCRIBE](): CacheDescription {
    const { key, partition, durability } = this;
    return { path: placeOf(this), partition, durability, stores: [encryptedFileStore(key)] };
  }

  /** @internal Over what `PersistenceCreator` has opened. */
  static [OVER](
    file: FilePersistence,
    key: CheckedKey,
    partition: string | undefined,
    durability: Durability,
  ): EncryptedFilePersistence {
    return new EncryptedFilePersistence(file, key, partition ?? PARTITION, durability);
  }
}

/** @internal The store, as the addon is told of it. */
export function encryptedFileStore(key: CheckedKey): StoreDescription {
  return { kind: "encrypted-file", key, errors: keyErrors };
}

recordStore(EncryptedFilePersistence);
