// An item in the macOS Keychain. The class exists on every system, so that programs import and construct it, and fails
// elsewhere at use.
import { PersistenceError } from "../error";
import type { CacheDescription, StoreDescription } from "../handle/cache";
import type { LoggerOptions } from "../logger";
import { placeOf } from "../place";
import { DESCRIBE, OVER } from "./base";
import { FilePersistence } from "./file";
import { checkedItem, type Item, type ItemOptions, MarkerBasedPersistence, probeItem } from "./marker-based";
import { recordStore } from "./untouched";

/** What can be chosen beside the item's name. */
export interface KeychainOptions extends ItemOptions {}

/** @internal The store, as the addon is told of it. */
export const KEYCHAIN: StoreDescription = {
  kind: "keychain",
  errors: PersistenceError.createKeychainPersistenceError,
};

/**
 * Keeps the cache in the macOS Keychain, in an item of the shape that keytar uses.
 *
 * ```js
 * const persistence = await KeychainPersistence.create(markerPath, "my-app", "tokens");
 * await persistence.verifyPersistence();
 * ```
 */
export class KeychainPersistence extends MarkerBasedPersistence {
  private constructor(marker: FilePersistence, item: Item) {
    super(marker, item);
  }

  /** Prepares the marker file; does not touch the Keychain. */
  static async create(
    fileLocation: string,
    serviceName: string,
    accountName: string,
    loggerOptions?: LoggerOptions,
    options?: KeychainOptions,
  ): Promise<KeychainPersistence> {
    const item = checkedItem(serviceName, accountName, options);
    const marker = await FilePersistence.create(fileLocation, loggerOptions);
    return new KeychainPersistence(marker, item);
  }

  createForPersistenceValidation(): Promise<KeychainPersistence> {
    const [marker, service, account] = probeItem(placeOf(this));
    // The probe's item is this program's own: only a locked keychain asks, as the first use of the cache would.
    const { promptLimit } = this;
    const prompts =
      promptLimit > 0 ? { allowPrompt: true, promptTimeout: promptLimit } : { allowPrompt: false };
    return KeychainPersistence.create(marker, service, account, undefined, prompts);
  }

  /** @internal */
  [DESCRIBE](): CacheDescription {
    if (process.platform !== "darwin") {
      throw PersistenceError.createNotSupportedError(
        `The macOS Keychain is not supported on ${process.platform}. ` +
          "Use PersistenceCreator, which chooses what the platform has",
        { code: "not_supported" },
      );
    }
    return this.describe(KEYCHAIN);
  }

  /** @internal Over what `PersistenceCreator` has opened. */
  static [OVER](marker: FilePersistence, item: Item): KeychainPersistence {
    return new KeychainPersistence(marker, item);
  }
}

recordStore(KeychainPersistence);
