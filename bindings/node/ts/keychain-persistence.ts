// An item in the macOS Keychain. This version has no Keychain backend: the class exists everywhere, so that programs
// import and construct it, and fails at use.
import { requireText } from "./arguments";
import { BasePersistence, OPEN } from "./base-persistence";
import { FilePersistence, probeBeside } from "./file-persistence";
import type { Logger, LoggerOptions } from "./logger";
import type { Cache } from "./native/cache";
import type { IPersistence, PersistenceInfo } from "./persistence";
import { PersistenceError } from "./persistence-error";

/** Keeps the cache in the macOS Keychain, with a marker file that tells other processes of changes. */
export class KeychainPersistence extends BasePersistence implements IPersistence {
  private constructor(
    private readonly filePersistence: FilePersistence,
    protected readonly serviceName: string,
    protected readonly accountName: string,
  ) {
    super();
  }

  /** Prepares the marker file; does not touch the Keychain. */
  static async create(
    fileLocation: string,
    serviceName: string,
    accountName: string,
    loggerOptions?: LoggerOptions,
  ): Promise<KeychainPersistence> {
    requireText("serviceName", serviceName);
    requireText("accountName", accountName);
    const marker = await FilePersistence.create(fileLocation, loggerOptions);
    return new KeychainPersistence(marker, serviceName, accountName);
  }

  async save(_contents: string): Promise<void> {
    throw this.unsupported();
  }

  async load(): Promise<string | null> {
    throw this.unsupported();
  }

  async delete(): Promise<boolean> {
    throw this.unsupported();
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

  createForPersistenceValidation(): Promise<KeychainPersistence> {
    return KeychainPersistence.create(probeBeside(this.getFilePath()), this.serviceName, this.accountName);
  }

  async info(): Promise<PersistenceInfo> {
    return {
      backend: "keychain",
      protection: "os-user",
      survivesReboot: true,
      location: `${this.serviceName}/${this.accountName}`,
      crashSafe: true,
    };
  }

  /** @internal */
  [OPEN](): Cache {
    throw this.unsupported();
  }

  private unsupported(): PersistenceError {
    return PersistenceError.createNotSupportedError(
      `The macOS Keychain is not supported on ${process.platform} by this version of tokenkeep. ` +
        "Use PersistenceCreator, which chooses what the platform has",
      { code: "not_supported" },
    );
  }
}
