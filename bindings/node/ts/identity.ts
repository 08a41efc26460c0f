/** The persistent token cache of `@azure/identity`: a plugin for its `useIdentityPlugin`. */

export type { CachePersistenceOptions, IdentityPlugin, TokenCachePersistence } from "./identity/plugin";
export { cachePersistencePlugin, createCachePersistencePlugin } from "./identity/plugin";
