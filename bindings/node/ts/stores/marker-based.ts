// The common base of persistences in a keystore's item, with a marker file that tells other processes of changes.
import type { AbortOptions } from "../abort";
import { requireText, wrongArgument } from "../arguments";
import type { CacheDescription, StoreDescription } from "../handle/cache";
import { CheckedKey } from "../handle/key";
import type { Logger } from "../logger";
import { placeBeside, placeOf } from "../place";
import { promptLimit } from "../prompting";
import type { EncryptionKey, IPersistence, PersistenceInfo, PromptOptions } from "../types";
import { BasePersistence, loadContents, nativeCache, removeContents, storeContents } from "./base";
import { type FilePersistence, probeBeside } from "./file";

/** What can be chosen beside the item's name. */
export interface ItemOptions extends PromptOptions {
  /**
   * Keys of encrypted files that may have been written to the marker's path while the keystore was away: their content is
   * moved into the item. `PersistenceCreator` gives those of its fallbacks. Plaintext token caches need no key.
   */
  standInKeys?: readonly EncryptionKey[];
}

/** @internal An item's names and options, checked. */
export interface Item {
  readonly serviceName: string;
  readonly accountName: string;
  readonly promptLimit: number;
  readonly standIns: readonly CheckedKey[];
}

/** @internal @throws PersistenceError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`. */
export function checkedItem(serviceName: string, accountName: string, options?: ItemOptions): Item {
  return {
    serviceName: requireText("serviceName", serviceName),
    accountName: requireText("accountName", accountName),
    promptLimit: promptLimit(options),
    standIns: (options?.standInKeys ?? []).map((key) => new CheckedKey(key, options)),
  };
}

/** A cache in a keystore's item. */
export abstract class MarkerBasedPersistence extends BasePersistence implements IPersistence {
  private readonly filePersistence: FilePersistence;
  /** The service of the item. */
  protected readonly serviceName: string;
  /** The account of the item. */
  protected readonly accountName: string;
  /** How long a prompt may take, in milliseconds; 0: there is none. */
  protected readonly promptLimit: number;
  private readonly standIns: readonly CheckedKey[];

  /** @internal */
  protected constructor(marker: FilePersistence, item: Item) {
    super();
    this.filePersistence = marker;
    placeBeside(this, marker);
    this.serviceName = item.serviceName;
    this.accountName = item.accountName;
    this.promptLimit = item.promptLimit;
    this.standIns = item.standIns;
  }

  async save(contents: string, options?: AbortOptions): Promise<void> {
    if (typeof contents !== "string") {
      throw wrongArgument("contents", "a string", contents);
    }
    await storeContents(this, contents, options);
  }

  /**
   * The item's content; `null` when there is no item.
   *
   * @throws PersistenceError `GnomeKeyringError` or `KeychainError` when the keystore is locked, fails, or refuses access.
   */
  async load(options?: AbortOptions): Promise<string | null> {
    return loadContents(this, options);
  }

  async delete(): Promise<boolean> {
    return removeContents(this);
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

  async info(): Promise<PersistenceInfo> {
    return nativeCache(this).info();
  }

  /** @internal */
  protected describe(store: StoreDescription): CacheDescription {
    const { serviceName, accountName, promptLimit, standIns } = this;
    return {
      path: placeOf(this),
      serviceName,
      accountName,
      promptLimit,
      stores: [store],
      importKeys: standIns,
    };
  }
}

/** @internal The marker, service and account of an item that verification may use: no other process has it. */
export function probeItem(path: string): [marker: string, service: string, account: string] {
  const marker = probeBeside(path);
  // The random part of the file name makes the account unique as well.
  return [marker, "tokenkeep-probe", marker.slice(-16)];
}
