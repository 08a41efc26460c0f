/** Keeps a sign-in token cache safe on disk: the cache plugin for msal-node and the places it can keep a cache in. */

export type { AbortOptions, AbortSignalLike } from "./abort";
export type { BasePersistence } from "./base-persistence";
export type {
  BrokerAccount,
  BrokerRequest,
  BrokerResult,
  BrokerSignOutRequest,
} from "./broker/plugin";
export { NativeBrokerPlugin } from "./broker/plugin";
export type { CreateCachePluginOptions, OpeningCachePlugin } from "./create/cache-plugin";
export { createCachePlugin } from "./create/cache-plugin";
export { DataProtectionScope } from "./data-protection-scope";
export type { AsyncDisposing, Disposing } from "./disposing";
export type { EncryptedFileOptions } from "./encrypted-file-persistence";
export { EncryptedFilePersistence } from "./encrypted-file-persistence";
export { Environment } from "./environment";
export type { PersistenceErrorCode, PersistenceErrorOptions } from "./error";
export { isPersistenceError, PersistenceError } from "./error";
export type { CacheEvent } from "./events";
export type { FileOptions } from "./file-persistence";
export { FilePersistence } from "./file-persistence";
export { FilePersistenceWithDataProtection } from "./file-persistence-with-data-protection";
export type { KeychainOptions } from "./keychain-persistence";
export { KeychainPersistence } from "./keychain-persistence";
export type { LibSecretOptions } from "./lib-secret-persistence";
export { LibSecretPersistence } from "./lib-secret-persistence";
export type { CrossPlatformLockOptions, LockOptions } from "./lock-options";
export type { Logger, LoggerOptions } from "./logger";
export type { CachePlugin, SerializableTokenCache, TokenCacheContext } from "./msal-types";
export { PersistenceCreator } from "./persistence-creator";
export type { CachePluginOptions } from "./plugin/cache-plugin";
export { PersistenceCachePlugin } from "./plugin/cache-plugin";
export type { CacheChange, WatchedAccount } from "./plugin/watch/accounts";
export type { CacheWatcher, WatchOptions } from "./plugin/watch/watcher";
export { MemoryPersistence } from "./stores/memory";
export type { MigrateOptions, MigrationReport } from "./stores/migrate";
export { migrate } from "./stores/migrate";
export type {
  Durability,
  EncryptedFileFallback,
  EncryptionKey,
  EnvironmentKey,
  Fallback,
  InformedPersistence,
  IPersistence,
  IPersistenceConfiguration,
  KernelKeyringKey,
  KeyFileKey,
  KeystoreKey,
  MemoryFallback,
  PassphraseKey,
  PassphraseVariableKey,
  PersistenceInfo,
  PlaintextFileFallback,
  PromptOptions,
  PromptPolicy,
} from "./types";
