/** Keeps a sign-in token cache safe on disk: the cache plugin for msal-node and the places it can keep a cache in. */

export type { BasePersistence } from "./base-persistence";
export { DataProtectionScope } from "./data-protection-scope";
export type { EncryptedFileOptions } from "./encrypted-file-persistence";
export { EncryptedFilePersistence } from "./encrypted-file-persistence";
export type {
  EncryptionKey,
  EnvironmentKey,
  KernelKeyringKey,
  KeyFileKey,
  KeystoreKey,
  PassphraseKey,
  PassphraseVariableKey,
} from "./encryption-key";
export { Environment } from "./environment";
export type { CacheEvent } from "./events";
export type {
  EncryptedFileFallback,
  Fallback,
  InformedPersistence,
  MemoryFallback,
  PlaintextFileFallback,
} from "./fallback";
export type { FileOptions } from "./file-persistence";
export { FilePersistence } from "./file-persistence";
export { FilePersistenceWithDataProtection } from "./file-persistence-with-data-protection";
export type { KeychainOptions } from "./keychain-persistence";
export { KeychainPersistence } from "./keychain-persistence";
export type { LibSecretOptions } from "./lib-secret-persistence";
export { LibSecretPersistence } from "./lib-secret-persistence";
export type { CrossPlatformLockOptions } from "./lock-options";
export type { Logger, LoggerOptions } from "./logger";
export { MemoryPersistence } from "./memory-persistence";
export type { MigrateOptions, MigrationReport } from "./migrate";
export { migrate } from "./migrate";
export type { CachePlugin, SerializableTokenCache, TokenCacheContext } from "./msal-types";
export type {
  BrokerAccount,
  BrokerRequest,
  BrokerResult,
  BrokerSignOutRequest,
} from "./native-broker-plugin";
export { NativeBrokerPlugin } from "./native-broker-plugin";
export type { Durability, IPersistence, IPersistenceConfiguration, PersistenceInfo } from "./persistence";
export type { CachePluginOptions } from "./persistence-cache-plugin";
export { PersistenceCachePlugin } from "./persistence-cache-plugin";
export { PersistenceCreator } from "./persistence-creator";
export type { PersistenceErrorOptions } from "./persistence-error";
export { PersistenceError } from "./persistence-error";
export type { PromptOptions, PromptPolicy } from "./prompting";
export type { CacheChange, WatchedAccount } from "./watch/people";
export type { CacheWatcher, WatchOptions } from "./watch/watcher";
