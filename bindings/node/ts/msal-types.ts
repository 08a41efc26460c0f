// The few shapes of msal-node that the plugin meets, written structurally: msal's own types fit both ways.

/** A client's in-memory cache, as msal-node hands it to a cache plugin. */
export interface SerializableTokenCache {
  /** Replaces the memory by this content. */
  deserialize: (cache: string) => void;
  /** Returns the memory as the text of a cache. */
  serialize: () => string;
}

/** The argument that msal-node passes before and after each access: the same object both times. */
export interface TokenCacheContext {
  /** Before: whether the client is about to change its cache. After: whether it may have. */
  readonly cacheHasChanged: boolean;
  /** The client's memory. */
  readonly tokenCache: SerializableTokenCache;
}

/** The interface of a cache plugin in msal-node. */
export interface CachePlugin {
  /** Called before a client uses its memory: reads the store into it. */
  beforeCacheAccess(cacheContext: TokenCacheContext): Promise<void>;
  /** Called after it: writes a changed memory into the store. */
  afterCacheAccess(cacheContext: TokenCacheContext): Promise<void>;
}
