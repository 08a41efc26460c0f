// The stores that a configuration names, in order: the platform's own and its fallbacks.
import { requireText, wrongArgument } from "../arguments";
import { Environment } from "../environment";
import { PersistenceError } from "../error";
import type { Cache, StoreDescription } from "../handle/cache";
import { CheckedKey } from "../handle/key";
import { membersOf } from "../members";
import { adopt, OVER } from "../stores/base";
import {
  dataProtectionStore,
  FilePersistenceWithDataProtection,
  requireScope,
} from "../stores/data-protection";
import { EncryptedFilePersistence, encryptedFileStore, PARTITION } from "../stores/encrypted-file";
import { FilePersistence } from "../stores/file";
import { KEYCHAIN, KeychainPersistence } from "../stores/keychain";
import { checkedItem } from "../stores/marker-based";
import { MemoryPersistence } from "../stores/memory";
import { LibSecretPersistence, SECRET_SERVICE } from "../stores/secret-service";
import { isShipped } from "../stores/untouched";
import type { EncryptionKey, Fallback, InformedPersistence, IPersistenceConfiguration } from "../types";

/** A store to try. */
export interface Candidate {
  /** The store in words. */
  readonly store: string;
  /** Whether it protects less than the platforms' own stores do. */
  readonly weaker: boolean;
  readonly plaintext?: boolean;
  readonly description: StoreDescription;
  /** Whether the addon may open it: otherwise a method was replaced, and has to see its call. */
  native(): boolean;
  /** The persistence over the cache that the addon has opened; `file` is the cache file or marker file. */
  over(file: FilePersistence, cache: Cache): InformedPersistence;
  /** The persistence by the class's own method. */
  create(): Promise<InformedPersistence>;
}

/**
 * The platform's own store.
 *
 * @throws PersistenceError `PersistenceNotValidatedError` for a configuration that lacks something, `NotSupportedError` on a
 * platform without a store.
 */
export function platformCandidate(
  config: IPersistenceConfiguration,
  fallback: readonly Fallback[],
): Candidate {
  const { cachePath, serviceName, accountName, dataProtectionScope, loggerOptions } = config;
  if (Environment.isWindowsPlatform()) {
    if (!cachePath || !dataProtectionScope) {
      throw PersistenceError.createPersistenceNotValidatedError(
        "Cache path and/or data protection scope not provided for the FilePersistenceWithDataProtection cache plugin",
      );
    }
    const scope = requireScope(dataProtectionScope);
    return {
      store: "the Data Protection API",
      weaker: false,
      description: dataProtectionStore(scope),
      native: () =>
        process.platform === "win32" &&
        isShipped(FilePersistenceWithDataProtection) &&
        isShipped(FilePersistence),
      over: (file, cache) => adopt(FilePersistenceWithDataProtection[OVER](file, scope), cache),
      create: () => FilePersistenceWithDataProtection.create(cachePath, scope, undefined, loggerOptions),
    };
  }
  const mac = Environment.isMacPlatform();
  if (!mac && !Environment.isLinuxPlatform()) {
    throw PersistenceError.createNotSupportedError(
      "The current environment is not supported by msal-node-extensions yet.",
    );
  }
  const Class = mac ? KeychainPersistence : LibSecretPersistence;
  if (!cachePath || !serviceName || !accountName) {
    throw PersistenceError.createPersistenceNotValidatedError(
      `Cache path, service name and/or account name not provided for the ${Class.name} cache plugin`,
    );
  }
  const { allowPrompt, promptTimeout } = config;
  const standInKeys = fallback.flatMap((one) => (one.type === "encryptedFile" ? [one.key] : []));
  const options = { allowPrompt, promptTimeout, standInKeys };
  const unusual = allowPrompt !== undefined || promptTimeout !== undefined || standInKeys.length > 0;
  const item = checkedItem(serviceName, accountName, options);
  return {
    store: mac ? "the Keychain" : "the Secret Service",
    weaker: false,
    description: mac ? KEYCHAIN : SECRET_SERVICE,
    native: () =>
      process.platform === (mac ? "darwin" : "linux") && isShipped(Class) && isShipped(FilePersistence),
    over: (file, cache) => adopt(Class[OVER](file, item), cache),
    create: () =>
      unusual
        ? Class.create(cachePath, serviceName, accountName, loggerOptions, options)
        : // Exactly the original's call, for programs that replace the method and look at its arguments.
          Class.create(cachePath, serviceName, accountName, loggerOptions),
  };
}

/**
 * A fallback.
 *
 * @throws PersistenceError `ERR_INVALID_ARG_TYPE` for what is no fallback, without anything secret.
 */
export function fallbackCandidate(given: Fallback, config: IPersistenceConfiguration): Candidate {
  const fallback = given !== null && typeof given === "object" ? membersOf(given) : given;
  switch (fallback?.type) {
    case "encryptedFile":
      return encryptedFile(fallback.key, config);
    case "plaintextFile":
      return plaintextFile(config);
    case "memory": {
      const { loggerOptions } = config;
      return {
        store: "memory, until this process ends",
        weaker: true,
        description: { kind: "memory" },
        native: () => isShipped(MemoryPersistence),
        over: () => new MemoryPersistence(loggerOptions),
        create: () => MemoryPersistence.create(loggerOptions),
      };
    }
    default: {
      const given = (fallback as { type?: unknown } | null | undefined)?.type;
      throw wrongArgument("fallback[].type", '"encryptedFile", "plaintextFile" or "memory"', given);
    }
  }
}

/** The name that an encrypted file of this cache is bound to. */
export function partitionOf({ serviceName, accountName }: IPersistenceConfiguration): string {
  return serviceName && accountName ? `${serviceName}/${accountName}` : PARTITION;
}

function plaintextFile(config: IPersistenceConfiguration): Candidate {
  return {
    store: "a file that is not encrypted",
    weaker: true,
    plaintext: true,
    description: { kind: "plaintext-file" },
    native: () => isShipped(FilePersistence),
    over: (file, cache) => adopt(file, cache),
    create: async () => FilePersistence.create(pathOf(config), config.loggerOptions, config),
  };
}

function encryptedFile(key: EncryptionKey, config: IPersistenceConfiguration): Candidate {
  const {
    serviceName,
    accountName,
    loggerOptions,
    allowPrompt,
    promptTimeout,
    durability = "synced",
  } = config;
  const checked = new CheckedKey(key, { allowPrompt, promptTimeout });
  if (checked.isItem(serviceName, accountName)) {
    throw wrongArgument("fallback[].key", "an item of its own, not the one of the cache", key);
  }
  const partition = partitionOf(config);
  const options = { partition, allowPrompt, promptTimeout, durability };
  return {
    store: `an encrypted file, with ${checked}`,
    weaker: key.type !== "keystore",
    description: encryptedFileStore(checked),
    native: () => isShipped(EncryptedFilePersistence) && isShipped(FilePersistence),
    over: (file, cache) => adopt(EncryptedFilePersistence[OVER](file, checked, partition, durability), cache),
    create: async () => EncryptedFilePersistence.create(pathOf(config), key, loggerOptions, options),
  };
}

function pathOf(config: IPersistenceConfiguration): string {
  return requireText("cachePath", config.cachePath);
}
