// A plaintext file of mode 0600.

import { promises as files } from "node:fs";
import { dirname, join } from "node:path";
import type { AbortOptions } from "../abort";
import { requireContents, requireDurability, requireText } from "../arguments";
import { builtin } from "../builtin";
import { PersistenceError } from "../error";
import type { CacheDescription } from "../handle/cache";
import { lockLimit } from "../lock-options";
import { CallbackLogger, type Logger, type LoggerOptions } from "../logger";
import { place, placeOf } from "../place";
import type { Durability, IPersistence, PersistenceInfo } from "../types";
import {
  BasePersistence,
  DESCRIBE,
  loadBytes,
  loadContents,
  nativeCache,
  removeContents,
  storeContents,
} from "./base";
import { recordStore } from "./untouched";

/** What can be chosen of a file beside its place. */
export interface FileOptions {
  /**
   * Whether an acknowledged write survives a loss of power (`synced`, the default) or only a crash of the process
   * (`cached`: the operating system writes it to the disk when it likes, which is faster and what the sibling libraries do).
   */
  durability?: Durability;
}

/**
 * Keeps the cache in a file that is not encrypted: its mode (0600) is all that protects it. Every write replaces the file
 * whole, under the lock between processes.
 *
 * ```js
 * const persistence = await FilePersistence.create(join(homedir(), ".my-app", "cache.json"));
 * const cachePlugin = new PersistenceCachePlugin(persistence);
 * ```
 */
export class FilePersistence extends BasePersistence implements IPersistence {
  private readonly filePath: string;
  private readonly logger: Logger;
  declare private readonly durability: Durability;

  /** Touches nothing; `create` also prepares the file. */
  constructor(fileLocation: string, loggerOptions?: LoggerOptions, options?: FileOptions) {
    super();
    this.filePath = requireText("fileLocation", fileLocation);
    place(this, this.filePath);
    this.logger = new CallbackLogger(loggerOptions);
    const given = options?.durability;
    const durability = given === undefined ? "synced" : requireDurability(given);
    // Not listed: programs compare persistences, and print them.
    Object.defineProperty(this, "durability", { value: durability });
  }

  /**
   * A persistence whose file exists: missing directories are created (0700), a missing file is created empty (0600), an
   * existing one loses permissions of others.
   */
  static async create(
    fileLocation: string,
    loggerOptions?: LoggerOptions,
    options?: FileOptions,
  ): Promise<FilePersistence> {
    const persistence = new FilePersistence(fileLocation, loggerOptions, options);
    await persistence.createCacheFile();
    return persistence;
  }

  async save(contents: string, options?: AbortOptions): Promise<void> {
    await this.store(contents, options);
  }

  /** Like `save`, for bytes. */
  async saveBuffer(contents: Uint8Array, options?: AbortOptions): Promise<void> {
    await this.store(contents, options);
  }

  /**
   * The whole content; the empty string when the file is empty.
   *
   * @throws PersistenceError `ENOENT` when there is no file.
   */
  async load(options?: AbortOptions): Promise<string | null> {
    return (await loadContents(this, options)) ?? this.absent();
  }

  /** Like `load`, as bytes. */
  async loadBuffer(): Promise<Uint8Array> {
    return (await loadBytes(this)) ?? this.absent();
  }

  async delete(): Promise<boolean> {
    const removed = await removeContents(this);
    if (!removed) {
      this.logger.warning("There is no cache file to delete", "");
    }
    return removed;
  }

  getFilePath(): string {
    return this.filePath;
  }

  async reloadNecessary(lastSync: number): Promise<boolean> {
    return lastSync < (await this.timeLastModified());
  }

  /** The logger of this persistence. */
  getLogger(): Logger {
    return this.logger;
  }

  createForPersistenceValidation(): Promise<FilePersistence> {
    return FilePersistence.create(probeBeside(placeOf(this)));
  }

  async info(): Promise<PersistenceInfo> {
    return nativeCache(this).info();
  }

  /** @internal */
  [DESCRIBE](): CacheDescription {
    return { path: placeOf(this), durability: this.durability, stores: [{ kind: "plaintext-file" }] };
  }

  private async store(contents: unknown, options: AbortOptions | undefined): Promise<void> {
    const checked = requireContents("contents", contents);
    await storeContents(this, checked, options);
  }

  private absent(): never {
    throw PersistenceError.createFileSystemError("ENOENT", `no such file: ${this.filePath}`);
  }

  private async timeLastModified(): Promise<number> {
    try {
      return (await files.stat(placeOf(this))).mtime.getTime();
    } catch (cause) {
      const { code = "unknown_error", message } = cause as NodeJS.ErrnoException;
      if (code === "ENOENT") {
        return 0;
      }
      throw PersistenceError.createFileSystemError(code, message, { cause });
    }
  }

  private async createCacheFile(): Promise<void> {
    await nativeCache(this).ready({ create: true }, lockLimit());
    tellOfReady(this);
  }
}

recordStore(FilePersistence);

/** @internal Logs that the file exists and that only this user can read it. */
export function tellOfReady(persistence: FilePersistence): void {
  persistence.getLogger().info(`Cache file at ${persistence.getFilePath()} is ready`, "");
}

/** A path in the same directory under a name that no other process can have chosen. */
export function probeBeside(path: string): string {
  // It takes longer to load than all of this package, and few programs come by.
  const { randomBytes } = builtin("node:crypto");
  return join(dirname(path), `.tokenkeep-probe-${randomBytes(8).toString("hex")}`);
}
