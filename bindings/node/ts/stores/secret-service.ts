// An item in the Linux Secret Service.
import { PersistenceError } from "../error";
import type { CacheDescription, StoreDescription } from "../handle/cache";
import type { LoggerOptions } from "../logger";
import { placeOf } from "../place";
import { DESCRIBE, OVER } from "./base";
import { FilePersistence } from "./file";
import { checkedItem, type Item, type ItemOptions, MarkerBasedPersistence, probeItem } from "./marker-based";
import { recordStore } from "./untouched";

/** What can be chosen beside the item's name. */
export interface LibSecretOptions extends ItemOptions {}

/** @internal The store, as the addon is told of it. */
export const SECRET_SERVICE: StoreDescription = {
  kind: "secret-service",
  errors: PersistenceError.createLibSecretError,
};

/**
 * Keeps the cache in the Secret Service (GNOME Keyring, KWallet, KeePassXC), in an item of the shape that keytar uses.
 * Needs no libsecret.
 *
 * ```js
 * const persistence = await LibSecretPersistence.create(markerPath, "my-app", "tokens");
 * await persistence.verifyPersistence();
 * ```
 */
export class LibSecretPersistence extends MarkerBasedPersistence {
  private constructor(marker: FilePersistence, item: Item) {
    super(marker, item);
  }

  /** Prepares the marker file; does not touch the keyring. */
  static async create(
    fileLocation: string,
    serviceName: string,
    accountName: string,
    loggerOptions?: LoggerOptions,
    options?: LibSecretOptions,
  ): Promise<LibSecretPersistence> {
    const item = checkedItem(serviceName, accountName, options);
    const marker = await FilePersistence.create(fileLocation, loggerOptions);
    return new LibSecretPersistence(marker, item);
  }

  createForPersistenceValidation(): Promise<LibSecretPersistence> {
    const [marker, service, account] = probeItem(placeOf(this));
    return LibSecretPersistence.create(marker, service, account, undefined, { allowPrompt: false });
  }

  /** @internal */
  [DESCRIBE](): CacheDescription {
    if (process.platform !== "linux") {
      throw PersistenceError.createNotSupportedError(
        `The Secret Service is not supported on ${process.platform}. ` +
          "Use PersistenceCreator, which chooses what the platform has",
        { code: "not_supported" },
      );
    }
    return this.describe(SECRET_SERVICE);
  }

  /** @internal Over what `PersistenceCreator` has opened. */
  static [OVER](marker: FilePersistence, item: Item): LibSecretPersistence {
    return new LibSecretPersistence(marker, item);
  }
}

recordStore(LibSecretPersistence);
