// Chooses what the platform has, and proves that it works before a program relies on it.
import { wrongArgument } from "./arguments";
import { Environment } from "./environment";
import { FilePersistence } from "./file-persistence";
import { FilePersistenceWithDataProtection } from "./file-persistence-with-data-protection";
import { KeychainPersistence } from "./keychain-persistence";
import { LibSecretPersistence } from "./lib-secret-persistence";
import type { IPersistence, IPersistenceConfiguration, PersistenceInfo } from "./persistence";
import { PersistenceError } from "./persistence-error";

/** A persistence that can say what it is. */
type InformedPersistence = IPersistence & { info(): Promise<PersistenceInfo> };

/** Makes the persistence that fits the platform. */
// biome-ignore lint/complexity/noStaticOnlyClass: the public name and shape programs already use
export class PersistenceCreator {
  /**
   * The platform's protected store, verified: Windows a file encrypted by the system, macOS the Keychain, Linux the
   * Secret Service. On Linux, where the configuration allows it and the Secret Service does not work, a plaintext file.
   *
   * @throws PersistenceError `PersistenceNotValidatedError` when the configuration lacks something,
   * `NotSupportedError` on a platform without a store, `CachePersistenceError` when verification fails.
   */
  static async createPersistence(config: IPersistenceConfiguration): Promise<InformedPersistence> {
    if (config === null || typeof config !== "object") {
      const { message } = wrongArgument("config", "an object", config);
      throw PersistenceError.createPersistenceNotValidatedError(message);
    }
    const persistence = await createFor(config);
    try {
      await persistence.verifyPersistence();
      return persistence;
    } catch (error) {
      if (Environment.isLinuxPlatform() && config.usePlaintextFileOnLinux) {
        return createPlaintext(config, error);
      }
      throw error;
    }
  }
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
    return KeychainPersistence.create(cachePath, serviceName, accountName, loggerOptions);
  }
  if (Environment.isLinuxPlatform()) {
    if (!cachePath || !serviceName || !accountName) {
      throw missing("LibSecretPersistence");
    }
    const { allowPrompt, promptTimeout } = config;
    return allowPrompt === undefined && promptTimeout === undefined
      ? LibSecretPersistence.create(cachePath, serviceName, accountName, loggerOptions)
      : LibSecretPersistence.create(cachePath, serviceName, accountName, loggerOptions, {
          allowPrompt,
          promptTimeout,
        });
  }
  throw PersistenceError.createNotSupportedError(
    "The current environment is not supported by msal-node-extensions yet.",
  );
}

async function createPlaintext(
  config: IPersistenceConfiguration,
  reason: unknown,
): Promise<InformedPersistence> {
  if (!config.cachePath) {
    throw PersistenceError.createPersistenceNotValidatedError(
      "Cache path not provided for the FilePersistence cache plugin",
    );
  }
  const persistence = await FilePersistence.create(config.cachePath, config.loggerOptions, config);
  if (!(await persistence.verifyPersistence())) {
    throw PersistenceError.createPersistenceNotVerifiedError("Persistence could not be verified");
  }
  const path = persistence.getFilePath();
  persistence
    .getLogger()
    .warning(`Tokens are kept unencrypted in ${path}, because the keyring does not work: ${reason}`, "");
  return persistence;
}

function missing(persistence: string): PersistenceError {
  return PersistenceError.createPersistenceNotValidatedError(
    `Cache path, service name and/or account name not provided for the ${persistence} cache plugin`,
  );
}
