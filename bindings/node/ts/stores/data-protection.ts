// A file encrypted by Windows' Data Protection API. The class exists on every system, so that programs import and
// construct it, and fails elsewhere when something would have to be encrypted or decrypted.
import type { AbortOptions } from "../abort";
import { wrongArgument } from "../arguments";
import { DataProtectionScope } from "../data-protection-scope";
import { PersistenceError } from "../error";
import type { CacheDescription, StoreDescription } from "../handle/cache";
import { dataProtectionErrors } from "../handle/errors";
import type { Logger, LoggerOptions } from "../logger";
import { placeBeside, placeOf } from "../place";
import type { IPersistence, PersistenceInfo } from "../types";
import { BasePersistence, DESCRIBE, loadContents, nativeCache, OVER, storeContents } from "./base";
import { FilePersistence, probeBeside } from "./file";
import { recordStore } from "./untouched";

/**
 * Keeps the cache in a file that only the user, or only this machine, can decrypt.
 *
 * ```js
 * const scope = DataProtectionScope.CurrentUser;
 * const persistence = await FilePersistenceWithDataProtection.create(cachePath, scope);
 * ```
 */
export class FilePersistenceWithDataProtection extends BasePersistence implements IPersistence {
  private constructor(
    private readonly filePersistence: FilePersistence,
    private readonly scope: DataProtectionScope,
    private readonly optionalEntropy: string | undefined,
  ) {
    super();
    placeBeside(this, filePersistence);
  }

  /** Prepares the file; encrypts nothing. */
  static async create(
    fileLocation: string,
    scope: DataProtectionScope,
    optionalEntropy?: string,
    loggerOptions?: LoggerOptions,
  ): Promise<FilePersistenceWithDataProtection> {
    requireScope(scope);
    if (optionalEntropy != null && typeof optionalEntropy !== "string") {
      throw wrongArgument("optionalEntropy", "a string", optionalEntropy);
    }
    const file = await FilePersistence.create(fileLocation, loggerOptions);
    return new FilePersistenceWithDataProtection(file, scope, optionalEntropy || undefined);
  }

  async save(contents: string, options?: AbortOptions): Promise<void> {
    // Off Windows this error comes before any about the arguments.
    nativeCache(this);
    if (typeof contents !== "string") {
      throw wrongArgument("contents", "a string", contents);
    }
    await storeContents(this, contents, options);
  }

  /**
   * The content; `null` when the file is empty.
   *
   * @throws PersistenceError `ENOENT` when there is no file; `DPAPIEncryptedFileError` when Windows cannot decrypt it.
   */
  async load(options?: AbortOptions): Promise<string | null> {
    if (!isWindows()) {
      const sealed = await this.filePersistence.loadBuffer();
      if (sealed.length === 0) {
        return null;
      }
      throw unsupported();
    }
    const content = await loadContents(this, options);
    if (content === null) {
      throw PersistenceError.createFileSystemError("ENOENT", `no such file: ${this.getFilePath()}`);
    }
    return content || null;
  }

  async delete(): Promise<boolean> {
    return this.filePersistence.delete();
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

  createForPersistenceValidation(): Promise<FilePersistenceWithDataProtection> {
    const place = probeBeside(placeOf(this));
    return FilePersistenceWithDataProtection.create(place, this.scope, this.optionalEntropy);
  }

  async info(): Promise<PersistenceInfo> {
    return {
      backend: "dpapiFile",
      protection: this.scope === DataProtectionScope.LocalMachine ? "osMachine" : "osUser",
      survivesReboot: true,
      location: this.getFilePath(),
      crashSafe: isWindows() ? (await nativeCache(this).info()).crashSafe : true,
    };
  }

  /** @internal */
  [DESCRIBE](): CacheDescription {
    if (!isWindows()) {
      throw unsupported();
    }
    const { scope, optionalEntropy } = this;
    return { path: placeOf(this), stores: [dataProtectionStore(scope, optionalEntropy)] };
  }

  /** @internal Over what `PersistenceCreator` has opened. */
  static [OVER](file: FilePersistence, scope: DataProtectionScope): FilePersistenceWithDataProtection {
    return new FilePersistenceWithDataProtection(file, scope, undefined);
  }
}

/** @internal The store, as the addon is told of it. */
export function dataProtectionStore(scope: DataProtectionScope, entropy?: string): StoreDescription {
  const machine = scope === DataProtectionScope.LocalMachine;
  return { kind: "data-protection", machine, entropy, errors: dataProtectionErrors };
}

recordStore(FilePersistenceWithDataProtection);

/** @internal @throws PersistenceError `ERR_INVALID_ARG_TYPE` for what is no scope. */
export function requireScope(scope: DataProtectionScope): DataProtectionScope {
  if (scope !== DataProtectionScope.CurrentUser && scope !== DataProtectionScope.LocalMachine) {
    throw wrongArgument("scope", "DataProtectionScope.CurrentUser or .LocalMachine", scope);
  }
  return scope;
}

function isWindows(): boolean {
  return process.platform === "win32";
}

function unsupported(): PersistenceError {
  const message = "Dpapi is not supported on this platform";
  const error = PersistenceError.createNotSupportedError(message, { code: "not_supported" });
  // Programs compare this sentence with the whole message, which never had a code in front of it.
  error.message = message;
  return error;
}
