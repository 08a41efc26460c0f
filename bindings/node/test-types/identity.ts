// Every exported name of `tokenkeep/identity`, used without @azure/identity and without @types/node.
import type { Fallback, PersistenceError } from "tokenkeep";
import {
  type CachePersistenceOptions,
  cachePersistencePlugin,
  createCachePersistencePlugin,
  type IdentityPlugin,
  type TokenCachePersistence,
} from "tokenkeep/identity";

/** As @azure/identity declares it. */
declare function useIdentityPlugin(plugin: (context: unknown) => void): void;

const fallback: readonly Fallback[] = [{ type: "encryptedFile", key: { type: "kernelKeyring" } }];
const options: CachePersistenceOptions = {
  directory: "/srv/caches",
  fallback,
  allowPrompt: false,
  onDamage: "fail",
  onEvent: ({ kind }) => kind,
  loggerOptions: { logLevel: 1 },
};
const plugin: IdentityPlugin = createCachePersistencePlugin(options);
const asked: TokenCachePersistence = { name: "my-app", unsafeAllowUnencryptedStorage: false };

useIdentityPlugin(cachePersistencePlugin);
useIdentityPlugin(plugin);

export type { PersistenceError };
export default asked;

// @ts-expect-error a plugin is no credential
cachePersistencePlugin.getToken();
// @ts-expect-error a name is text
const wrong: TokenCachePersistence = { name: 1 };
void wrong;
