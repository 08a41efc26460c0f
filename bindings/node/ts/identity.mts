/** The same as the CommonJS entry has, by name. */

export type { CachePersistenceOptions, IdentityPlugin, TokenCachePersistence } from "./identity.js";
export { cachePersistencePlugin, createCachePersistencePlugin } from "./identity.js";
