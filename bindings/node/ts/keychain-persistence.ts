// An item in the macOS Keychain, with a marker file that tells other processes of changes. The class exists on every
// system, so that programs import and construct it, and fails elsewhere at use.
import { requireText, wrongArgument } from "./arguments";
import { BasePersistence, nativeCache, OPEN } from "./base-persistence";
import { PersistenceError } from "./error";
import { reportTo } from "./events";
import { FilePersistence, probeBeside } from "./file-persistence";
import { Cache } from "./handle/cache";
import { holdFor } from "./handle/held";
import { lockLimit } from "./lock-options";
import type { Logger, LoggerOptions } from "./logger";
import { promptLimit } from "./prompting";
import { recordMethods } from "./stores/untouched";
import type { IPersistence, PersistenceInfo, PromptOptions } from "./types";

/** What can be chosen beside the item's name. */
export interface KeychainOptions extends PromptOptions {}

/**
 * Keeps the cache in the macOS Keychain, in an item of the shape that keytar uses.
 */
export class KeychainPersistence extends BasePersistence implements IPersistence {
  private constructor(
    private readonly filePersistence: FilePersistence,
    protected readonly serviceName: string,
    protected readonly accountName: string,
    private readonly promptLimit: number,
  ) {
    super();
  }

  /** Prepares the marker file; does not touch the Keychain. */
  static async create(
    fileLocation: string,
    serviceName: string,
    accountName: string,
    loggerOptions?: LoggerOptions,
    options?: KeychainOptions,
  ): Promise<KeychainPersistence> {
    requireText("serviceName", serviceName);
    requireText("accountName", accountName);
    const prompt = promptLimit(options);
    const marker = await FilePersistence.create(fileLocation, loggerOptions);
    return new KeychainPersistence(marker, serviceName, accountName, prompt);
  }

  async save(contents: string): Promise<void> {
    if (typeof contents !== "string") {
      throw wrongArgument("contents", "a string", contents);
    }
    await nativeCache(this).replace(contents, holdFor(this.getFilePath()), lockLimit());
  }

  /**
   * The item's content; `null` when there is no item.
   *
   * @throws PersistenceError `KeychainError` when the Keychain is locked, fails, or refuses access.
   */
  async load(): Promise<string | null> {
    return nativeCache(this).load(holdFor(this.getFilePath()));
  }

  async delete(): Promise<boolean> {
    return nativeCache(this).remove(holdFor(this.getFilePath()), lockLimit());
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
    const place = probeBeside(this.getFilePath());
    // The random part of the file name makes the account unique as well.
    return KeychainPersistence.create(place, "tokenkeep-probe", place.slice(-16), undefined, {
      allowPrompt: false,
    });
  }

  info(): Promise<PersistenceInfo> {
    return nativeCache(this).info();
  }

  /** @internal */
  [OPEN](): Cache {
    if (process.platform !== "darwin") {
      throw PersistenceError.createNotSupportedError(
        `The macOS Keychain is not supported on ${process.platform}. ` +
          "Use PersistenceCreator, which chooses what the platform has",
        { code: "not_supported" },
      );
    }
    const { serviceName, accountName, promptLimit } = this;
    return new Cache(
      this.getFilePath(),
      ({ Cache }, channel, source, path) =>
        Cache.keychain(channel, source, path, serviceName, accountName, promptLimit),
      reportTo(this.getLogger()),
      PersistenceError.createKeychainPersistenceError,
    );
  }
}

recordMethods(KeychainPersistence.prototype, [
  "save",
  "load",
  "delete",
  "reloadNecessary",
  "getFilePath",
  "verifyPersistence",
  "createForPersistenceValidation",
]);
