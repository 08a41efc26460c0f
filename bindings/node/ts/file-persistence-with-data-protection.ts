// A file encrypted by Windows' Data Protection API. The class exists on every system, so that programs import and
// construct it, and fails elsewhere when something would have to be encrypted or decrypted.
import { wrongArgument } from "./arguments";
import { BasePersistence, nativeCache, OPEN } from "./base-persistence";
import { DataProtectionScope } from "./data-protection-scope";
import { PersistenceError } from "./error";
import { reportTo } from "./events";
import { FilePersistence, probeBeside } from "./file-persistence";
import { Cache } from "./handle/cache";
import { dataProtectionErrors } from "./handle/errors";
import { holdFor } from "./handle/held";
import { lockLimit } from "./lock-options";
import type { Logger, LoggerOptions } from "./logger";
import { recordMethods } from "./stores/untouched";
import type { IPersistence, PersistenceInfo } from "./types";

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
  }

  /** Prepares the file; encrypts nothing. */
  static async create(
    fileLocation: string,
    scope: DataProtectionScope,
    optionalEntropy?: string,
    loggerOptions?: LoggerOptions,
  ): Promise<FilePersistenceWithDataProtection> {
    if (scope !== DataProtectionScope.CurrentUser && scope !== DataProtectionScope.LocalMachine) {
      throw wrongArgument("scope", "DataProtectionScope.CurrentUser or .LocalMachine", scope);
    }
    if (optionalEntropy != null && typeof optionalEntropy !== "string") {
      throw wrongArgument("optionalEntropy", "a string", optionalEntropy);
    }
    const file = await FilePersistence.create(fileLocation, loggerOptions);
    return new FilePersistenceWithDataProtection(file, scope, optionalEntropy || undefined);
  }

  async save(contents: string): Promise<void> {
    const cache = nativeCache(this);
    if (typeof contents !== "string") {
      throw wrongArgument("contents", "a string", contents);
    }
    await cache.replace(contents, holdFor(this.getFilePath()), lockLimit());
  }

  /**
   * The content; `null` when the file is empty.
   *
   * @throws PersistenceError `ENOENT` when there is no file; `DPAPIEncryptedFileError` when Windows cannot decrypt it.
   */
  async load(): Promise<string | null> {
    if (!isWindows()) {
      const sealed = await this.filePersistence.loadBuffer();
      if (sealed.length === 0) {
        return null;
      }
      throw unsupported();
    }
    const content = await nativeCache(this).load(holdFor(this.getFilePath()));
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

  getLogger(): Logger {
    return this.filePersistence.getLogger();
  }

  createForPersistenceValidation(): Promise<FilePersistenceWithDataProtection> {
    const place = probeBeside(this.getFilePath());
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
  [OPEN](): Cache {
    if (!isWindows()) {
      throw unsupported();
    }
    const machine = this.scope === DataProtectionScope.LocalMachine;
    return new Cache(
      this.getFilePath(),
      ({ Cache }, channel, source, path) =>
        Cache.dataProtection(channel, source, path, machine, this.optionalEntropy),
      reportTo(this.getLogger()),
      dataProtectionErrors,
    );
  }
}

recordMethods(FilePersistenceWithDataProtection.prototype, [
  "save",
  "load",
  "delete",
  "reloadNecessary",
  "getFilePath",
  "verifyPersistence",
  "createForPersistenceValidation",
]);

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
