// A file encrypted by Windows' Data Protection API. This version has no such backend: the class exists everywhere, so
// that programs import and construct it, and fails when something would have to be encrypted or decrypted.
import { wrongArgument } from "./arguments";
import { BasePersistence, OPEN } from "./base-persistence";
import { DataProtectionScope } from "./data-protection-scope";
import { FilePersistence, probeBeside } from "./file-persistence";
import type { Logger, LoggerOptions } from "./logger";
import type { Cache } from "./native/cache";
import type { IPersistence, PersistenceInfo } from "./persistence";
import { PersistenceError } from "./persistence-error";

/** Keeps the cache in a file that only the user, or only this machine, can decrypt. */
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

  async save(_contents: string): Promise<void> {
    throw this.unsupported();
  }

  /** The content; `null` when the file is empty. */
  async load(): Promise<string | null> {
    const sealed = await this.filePersistence.loadBuffer();
    if (sealed.length === 0) {
      return null;
    }
    throw this.unsupported();
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
      backend: "dpapi-file",
      protection: "os-user",
      survivesReboot: true,
      location: this.getFilePath(),
      crashSafe: true,
    };
  }

  /** @internal */
  [OPEN](): Cache {
    throw this.unsupported();
  }

  private unsupported(): PersistenceError {
    const message = "Dpapi is not supported on this platform";
    const error = PersistenceError.createNotSupportedError(message, { code: "not_supported" });
    // Programs compare this sentence with the whole message, which never had a code in front of it.
    error.message = message;
    return error;
  }
}
