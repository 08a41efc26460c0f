// The few shapes of msal-node that the plugin meets, written structurally: msal's own types fit both ways.

/** A client's in-memory cache, as msal-node hands it to a cache plugin. */
export interface SerializableTokenCache {
  deserialize: (cache: string) => void;
  serialize: () => string;
}

/** The argument that msal-node passes before and after each access: the same object both times. */
export interface TokenCacheContext {
  /** Before: whether the client is about to change its cache. After: whether it may have. */
  readonly cacheHasChanged: boolean;
  readonly tokenCache: SerializableTokenCache;
}

/** The interface of a cache plugin in msal-node. */
export interface CachePlugin {
  beforeCacheAccess(cacheContext: TokenCacheContext): Promise<void>;
  afterCacheAccess(cacheContext: TokenCacheContext): Promise<void>;
}
