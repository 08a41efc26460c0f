// A library that leaves the types of what it exports to the compiler, which must be able to name them in its declarations.
import {
  EncryptedFilePersistence,
  KeychainPersistence,
  LibSecretPersistence,
  MemoryPersistence,
  migrate,
  type NativeBrokerPlugin,
  type PersistenceCachePlugin,
  PersistenceCreator,
} from "tokenkeep";
import { createCachePersistencePlugin } from "tokenkeep/identity";

export const create = () => PersistenceCreator.createPersistence({});
export const stores = async () => ({
  encrypted: await EncryptedFilePersistence.create("cache.json", { type: "kernelKeyring" }),
  keychain: await KeychainPersistence.create("cache.json", "service", "account"),
  secretService: await LibSecretPersistence.create("cache.json", "service", "account"),
  memory: new MemoryPersistence(),
});
export const verify = async () => (await stores()).encrypted.createForPersistenceValidation();
export const move = async () => migrate((await stores()).encrypted, (await stores()).keychain);
export const accounts = (plugin: NativeBrokerPlugin) => plugin.getAllAccounts("client", "correlation");
export const token = (plugin: NativeBrokerPlugin) => plugin.acquireTokenSilent;
export const signOut = (plugin: NativeBrokerPlugin) => plugin.signOut;
export const watch = (plugin: PersistenceCachePlugin) => plugin.watch.bind(plugin);
export const access = (plugin: PersistenceCachePlugin) => plugin.beforeCacheAccess.bind(plugin);
export const logger = async () => (await create()).getLogger();
export const plugin = createCachePersistencePlugin({});
