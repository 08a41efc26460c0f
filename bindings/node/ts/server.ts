// The entry tokenkeep/server: a token cache in the database that several servers share. It loads the addon at first use.
export type { CachePlugin, SerializableTokenCache, TokenCacheContext } from "./msal-types";
export type { Outage } from "./server/access";
export type { Backend, Finding, Swapped, Turn } from "./server/backend";
export { memory } from "./server/backends/memory";
export {
  type PostgresClientLike,
  type PostgresOptions,
  type PostgresPoolLike,
  postgres,
} from "./server/backends/postgres";
export {
  type GlideLike,
  type IoRedisLike,
  type NodeRedisLike,
  redis,
} from "./server/backends/redis";
export {
  type Answer,
  type AppRequest,
  type ClientCall,
  type ClientsOptions,
  type ConfidentialClientLike,
  ConfidentialClients,
  type ConfigurationLike,
  type Request,
  type SilentRequest,
} from "./server/clients";
export { DistributedCachePlugin, type PartitionManagerLike } from "./server/distributed-cache-plugin";
export { type Keys, keys } from "./server/keys";
export type { KeyRing, KeyShelf, RecordKeys } from "./server/keys/ring";
export type { WrappedKeyOptions } from "./server/keys/wrapped";
export type { Lifetimes } from "./server/lifetime";
export { type MeterLike, openTelemetry, type StoreEvent, type StoreTrace } from "./server/signals";
export {
  type Level1Options,
  type OutageRules,
  type RecordInfo,
  type RekeyReport,
  TokenStore,
  type TokenStoreOptions,
} from "./server/store";
export { isStoreError, StoreError, type StoreErrorCode } from "./server/store-error";
