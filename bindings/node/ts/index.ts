/** Keeps a sign-in token cache safe on disk: the cache plugin for msal-node and the places it can keep a cache in. */

export type { AbortOptions, AbortSignalLike } from "./abort";
export type {
  BrokerAccount,
  BrokerRequest,
  BrokerResult,
  BrokerSignOutRequest,
} from "./broker/plugin";
export { NativeBrokerPlugin } from "./broker/plugin";
export type { CreateCachePluginOptions, OpeningCachePlugin } from "./create/cache-plugin";
export { createCachePlugin } from "./create/cache-plugin";
export { PersistenceCreator } from "./create/creator";
export { DataProtectionScope } from "./data-protection-scope";
export type { AsyncDisposing, Disposing } from "./disposing";
export { Environment } from "./environment";
export type { PersistenceErrorOptions } from "./error";
export { isPersistenceError, PersistenceError } from "./error";
export type { PersistenceErrorCode } from "./error-codes";
export type { CacheEvent } from "./events";
export type { CrossPlatformLockOptions, LockOptions } from "./lock-options";
export type { Logger, LoggerOptions } from "./logger";
export { LogLevel } from "./logger";
export type { CachePlugin, SerializableTokenCache, TokenCacheContext } from "./msal-types";
export type { CachePluginOptions } from "./plugin/cache-plugin";
export { PersistenceCachePlugin } from "./plugin/cache-plugin";
export type { CacheChange, WatchedAccount } from "./plugin/watch/accounts";
export type { CacheWatcher, WatchOptions } from "./plugin/watch/watcher";
export type { BasePersistence } from "./stores/base";
export { FilePersistenceWithDataProtection } from "./stores/data-protection";
export type { EncryptedFileOptions } from "./stores/encrypted-file";
export { EncryptedFilePersistence } from "./stores/encrypted-file";
export type { FileOptions } from "./stores/file";
export { FilePersistence } from "./stores/file";
export type { KeychainOptions } from "./stores/keychain";
export { KeychainPersistence } from "./stores/keychain";
export type { ItemOptions, MarkerBasedPersistence } from "./stores/marker-based";
export { MemoryPersistence } from "./stores/memory";
export type { MigrateOptions, MigrationReport } from "./stores/migrate";
export { migrate } from "./stores/migrate";
export type { LibSecretOptions } from "./stores/secret-service";
export { LibSecretPersistence } from "./stores/secret-service";
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
  PortalKey,
  PromptOptions,
  PromptPolicy,
} from "./types";
