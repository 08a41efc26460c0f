/** The same classes as the CommonJS entry has, by name: one implementation, one class identity. */

export type {
  CacheEvent,
  CachePluginOptions,
  CrossPlatformLockOptions,
  Durability,
  FileOptions,
  IPersistence,
  IPersistenceConfiguration,
  LibSecretOptions,
  Logger,
  LoggerOptions,
  PersistenceErrorOptions,
  PersistenceInfo,
  PromptPolicy,
} from "./index.js";
export {
  DataProtectionScope,
  Environment,
  FilePersistence,
  FilePersistenceWithDataProtection,
  KeychainPersistence,
  LibSecretPersistence,
  NativeBrokerPlugin,
  PersistenceCachePlugin,
  PersistenceCreator,
  PersistenceError,
} from "./index.js";
