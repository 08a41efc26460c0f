// An item in the Linux Secret Service, with a marker file that tells other processes of changes.
import { requireText, wrongArgument } from "./arguments";
import { adopt, BasePersistence, nativeCache, OPEN } from "./base-persistence";
import { CheckedKey } from "./encryption-key";
import { PersistenceError } from "./error";
import { reportTo } from "./events";
import type { EventReply } from "./face";
import { FilePersistence, probeBeside } from "./file-persistence";
import { Cache } from "./handle/cache";
import { holdFor } from "./handle/held";
import { lockLimit } from "./lock-options";
import type { Logger, LoggerOptions } from "./logger";
import { promptLimit } from "./prompting";
import { recordMethods } from "./stores/untouched";
import type { EncryptionKey, IPersistence, PersistenceInfo, PromptOptions } from "./types";

/** What can be chosen beside the item's name. */
export interface LibSecretOptions extends PromptOptions {
  /**
   * Keys of encrypted files that may have been written to the marker's path while the keyring was away: what they hold is
   * moved into the item. `PersistenceCreator` gives those of its fallbacks. Plaintext token caches need no key.
   */
  standInKeys?: readonly EncryptionKey[];
}

/** @internal */
export const OVER: unique symbol = Symbol("tokenkeep.over");

/**
 * Keeps the cache in the Secret Service (GNOME Keyring, KWallet, KeePassXC), in an item of the shape that keytar uses.
 * Needs no libsecret.
 */
export class LibSecretPersistence extends BasePersistence implements IPersistence {
  private constructor(
    private readonly filePersistence: FilePersistence,
    protected readonly serviceName: string,
    protected readonly accountName: string,
    private readonly promptLimit: number,
    private readonly standIns: readonly CheckedKey[],
  ) {
    super();
  }

  /** Prepares the marker file; does not touch the keyring. */
  static async create(
    fileLocation: string,
    serviceName: string,
    accountName: string,
    loggerOptions?: LoggerOptions,
    options?: LibSecretOptions,
  ): Promise<LibSecretPersistence> {
    requireText("serviceName", serviceName);
    requireText("accountName", accountName);
    const prompt = promptLimit(options);
    const standIns = (options?.standInKeys ?? []).map((key) => new CheckedKey(key, options));
    const marker = await FilePersistence.create(fileLocation, loggerOptions);
    return new LibSecretPersistence(marker, serviceName, accountName, prompt, standIns);
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
   * @throws PersistenceError `GnomeKeyringError` when the keyring is locked, fails, or cannot be reached.
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

  createForPersistenceValidation(): Promise<LibSecretPersistence> {
    const place = probeBeside(this.getFilePath());
    // The random part of the file name makes the account unique as well.
    return LibSecretPersistence.create(place, "tokenkeep-probe", place.slice(-16), undefined, {
      allowPrompt: false,
    });
  }

  info(): Promise<PersistenceInfo> {
    return nativeCache(this).info();
  }

  /** @internal */
  [OPEN](): Cache {
    if (process.platform !== "linux") {
      throw PersistenceError.createNotSupportedError(
        `The Secret Service is not supported on ${process.platform}. ` +
          "Use PersistenceCreator, which chooses what the platform has",
        { code: "not_supported" },
      );
    }
    const { serviceName, accountName, promptLimit, standIns } = this;
    return openItem(
      this.getFilePath(),
      reportTo(this.getLogger()),
      serviceName,
      accountName,
      promptLimit,
      standIns,
    );
  }

  /** @internal Over what has been prepared and verified. */
  static [OVER](
    marker: FilePersistence,
    item: Cache,
    serviceName: string,
    accountName: string,
    promptLimit: number,
  ): LibSecretPersistence {
    const persistence = new LibSecretPersistence(marker, serviceName, accountName, promptLimit, []);
    adopt(persistence, item);
    return persistence;
  }
}

recordMethods(LibSecretPersistence.prototype, [
  "save",
  "load",
  "delete",
  "reloadNecessary",
  "getFilePath",
  "verifyPersistence",
  "createForPersistenceValidation",
]);

/** @internal The item with its marker at `path`. */
export function openItem(
  path: string,
  onEvent: (event: EventReply) => void,
  serviceName: string,
  accountName: string,
  promptLimit: number,
  standIns: readonly CheckedKey[],
): Cache {
  return new Cache(
    path,
    ({ Cache }, channel, source, absolute) => {
      const partition = partitionOf(serviceName, accountName);
      const keys = standIns.map((key) => key.place(partition));
      return Cache.secretService(
        channel,
        source,
        absolute,
        serviceName,
        accountName,
        promptLimit,
        partition,
        keys,
      );
    },
    onEvent,
    PersistenceError.createLibSecretError,
    standIns,
  );
}

/** The name of an encrypted file that stands in for an item; the core's, so that both languages can share it. */
export function partitionOf(serviceName: string, accountName: string): string {
  return `${serviceName}/${accountName}`;
}
