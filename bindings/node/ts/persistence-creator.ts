// Chooses what the platform has, and proves that it works before a program relies on it.
import { wrongArgument } from "./arguments";
import { createAtOnce } from "./at-once";
import { Environment } from "./environment";
import { isPersistenceError, PersistenceError } from "./error";
import { climb, ladderOf, verified } from "./fallback";
import { FilePersistenceWithDataProtection } from "./file-persistence-with-data-protection";
import { KeychainPersistence } from "./keychain-persistence";
import { LibSecretPersistence } from "./lib-secret-persistence";
import { createPlaintext } from "./plaintext";
import type { InformedPersistence, IPersistenceConfiguration } from "./types";

/** Makes the persistence that fits the platform. */
// biome-ignore lint/complexity/noStaticOnlyClass: the public name and shape programs already use
export class PersistenceCreator {
  /**
   * The platform's protected store, verified: Windows a file encrypted by the system, macOS the Keychain, Linux the
   * Secret Service. Where that does not work, the first of `fallback` that does; on Linux with `usePlaintextFileOnLinux`
   * at last a plaintext file. Nothing else is ever chosen. A choice that protects less is logged as a warning; `info()`
   * of what is returned tells the rest.
   *
   * @throws PersistenceError `PersistenceNotValidatedError` when the configuration lacks something,
   * `ERR_INVALID_ARG_TYPE` for a fallback that is none, `NotSupportedError` on a platform without a store,
   * `CachePersistenceError` when verification fails. Where fallbacks were given and all fail, its message lists each
   * store with its failure and what to do about it, its `cause` is an `AggregateError` of them, and its `code` that of
   * the platform's store.
   */
  static async createPersistence(config: IPersistenceConfiguration): Promise<InformedPersistence> {
    if (config === null || typeof config !== "object") {
      const { message } = wrongArgument("config", "an object", config);
      throw PersistenceError.createPersistenceNotValidatedError(message);
    }
    return createAtOnce(config) ?? createStepByStep(config);
  }
}

async function createStepByStep(config: IPersistenceConfiguration): Promise<InformedPersistence> {
  const ladder = ladderOf(config);
  const plaintext = Boolean(Environment.isLinuxPlatform() && config.usePlaintextFileOnLinux);
  if (ladder.length > 0) {
    return createByLadder(config, plaintext ? [...ladder, ...plaintextLadder(config)] : ladder);
  }
  const persistence = await createFor(config);
  try {
    await persistence.verifyPersistence();
    return persistence;
  } catch (error) {
    if (plaintext) {
      return createPlaintext(config, error);
    }
    throw error;
  }
}

async function createByLadder(
  config: IPersistenceConfiguration,
  ladder: ReturnType<typeof ladderOf>,
): Promise<InformedPersistence> {
  try {
    return await verified(await createFor(config));
  } catch (error) {
    // What the configuration lacks is for the program to mend, and a missing addon for the installation.
    if (
      isPersistenceError(error) &&
      (error.errorCode === "PersistenceNotValidatedError" || isAddonMissing(error))
    ) {
      throw error;
    }
    return climb(ladder, { store: platformStore(), error });
  }
}

function plaintextLadder(config: IPersistenceConfiguration): ReturnType<typeof ladderOf> {
  return ladderOf({ ...config, fallback: [{ type: "plaintextFile" }] });
}

/** The platform's own store, for messages. */
function platformStore(): string {
  if (Environment.isLinuxPlatform()) {
    return "the Secret Service";
  }
  if (Environment.isMacPlatform()) {
    return "the Keychain";
  }
  return Environment.isWindowsPlatform() ? "the Data Protection API" : "this platform's store";
}

async function createFor(config: IPersistenceConfiguration): Promise<InformedPersistence> {
  const { cachePath, serviceName, accountName, dataProtectionScope, loggerOptions } = config;
  if (Environment.isWindowsPlatform()) {
    if (!cachePath || !dataProtectionScope) {
      throw PersistenceError.createPersistenceNotValidatedError(
        "Cache path and/or data protection scope not provided for the FilePersistenceWithDataProtection cache plugin",
      );
    }
    return FilePersistenceWithDataProtection.create(cachePath, dataProtectionScope, undefined, loggerOptions);
  }
  if (Environment.isMacPlatform()) {
    if (!cachePath || !serviceName || !accountName) {
      throw missing("KeychainPersistence");
    }
    const { allowPrompt, promptTimeout } = config;
    return KeychainPersistence.create(cachePath, serviceName, accountName, loggerOptions, {
      allowPrompt,
      promptTimeout,
    });
  }
  if (Environment.isLinuxPlatform()) {
    if (!cachePath || !serviceName || !accountName) {
      throw missing("LibSecretPersistence");
    }
    const { allowPrompt, promptTimeout, fallback = [] } = config;
    const keys = fallback.flatMap((one) => (one.type === "encryptedFile" ? [one.key] : []));
    if (allowPrompt === undefined && promptTimeout === undefined && keys.length === 0) {
      // Exactly the original's call, for programs that replace the method and look at what it is given.
      return LibSecretPersistence.create(cachePath, serviceName, accountName, loggerOptions);
    }
    const options = { allowPrompt, promptTimeout, standInKeys: keys };
    return LibSecretPersistence.create(cachePath, serviceName, accountName, loggerOptions, options);
  }
  throw PersistenceError.createNotSupportedError(
    "The current environment is not supported by msal-node-extensions yet.",
  );
}

/** Whether there is no addon to work with: no other store would work either. */
function isAddonMissing({ code }: PersistenceError): boolean {
  return code === "addon_missing" || code === "addon_unusable";
}

function missing(persistence: string): PersistenceError {
  return PersistenceError.createPersistenceNotValidatedError(
    `Cache path, service name and/or account name not provided for the ${persistence} cache plugin`,
  );
}
