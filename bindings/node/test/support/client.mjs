// @ts-check
/**
 * A real `PublicClientApplication` with a persistence of the package under test, which signs in with the offline
 * service. It runs inside actors; the tests choose the persistence, the user and the network.
 */
import { basename, dirname } from "node:path";
import { PublicClientApplication } from "@azure/msal-node";
import { KNOWN_HOST, SignInService } from "../../../../demo/signin/service.mjs";
import {
  browser,
  localNetworkClient,
  loopbackNetworkClient,
  noNetworkClient,
} from "../../../../demo/signin/transport.mjs";
import { imported } from "./subject.mjs";

export { browser, localNetworkClient, loopbackNetworkClient, noNetworkClient, SignInService };

export const CLIENT_ID = "00000000-0000-4000-8000-00000000c11e";
export const AUTHORITY = `https://${KNOWN_HOST}/organizations`;
export const SCOPES = ["https://api.example/read"];
export const SERVICE_NAME = "tokenkeep tests";
export const ACCOUNT_NAME = "cache";

/**
 * The store of a cache in a test.
 *
 * @typedef {"FilePersistence" | "LibSecretPersistence" | "EncryptedFilePersistence" | "PersistenceCreator"
 *   | "tokenkeep/identity"} Kind
 * @typedef {{ kind: Kind, cachePath: string, usePlaintextFileOnLinux?: boolean, serviceName?: string,
 *   accountName?: string, key?: object, partition?: string, fallback?: object[], [more: string]: unknown }} Store
 */

/**
 * Creates the persistence through the class that a program would use.
 *
 * @param {Store} store
 */
export async function createPersistence({ kind, cachePath, ...rest }) {
  const ext = await imported();
  const { serviceName = SERVICE_NAME, accountName = ACCOUNT_NAME, key, partition, ...config } = rest;
  switch (kind) {
    case "FilePersistence":
      return ext.FilePersistence.create(cachePath);
    case "LibSecretPersistence":
      return ext.LibSecretPersistence.create(cachePath, serviceName, accountName);
    case "EncryptedFilePersistence":
      return ext.EncryptedFilePersistence.create(cachePath, key, undefined, { partition });
    case "PersistenceCreator":
      return ext.PersistenceCreator.createPersistence({
        cachePath,
        dataProtectionScope: ext.DataProtectionScope.CurrentUser,
        serviceName,
        accountName,
        ...config,
      });
  }
}

/**
 * Creates a plugin over a store, like a program.
 *
 * @param {Store} store
 * @param {{ retryNumber: number, retryDelay: number }} [lock]
 */
export async function createPlugin(store, lock) {
  const { PersistenceCachePlugin } = await imported();
  if (store.kind === "tokenkeep/identity") {
    return identityPlugin(store.cachePath);
  }
  return new PersistenceCachePlugin(await createPersistence(store), lock);
}

/**
 * The plugin that the Azure SDK gets from `tokenkeep/identity`, over the cache at this path.
 *
 * @param {string} cachePath
 */
async function identityPlugin(cachePath) {
  const { createCachePersistencePlugin } = await import("tokenkeep/identity");
  /** @type {((options: object) => Promise<any>) | undefined} */
  let open;
  createCachePersistencePlugin({ directory: dirname(cachePath) })({
    cachePluginControl: {
      setPersistence: (/** @type {typeof open} */ factory) => {
        open = factory;
      },
    },
  });
  return open?.({ name: basename(cachePath) });
}

/**
 * Creates an MSAL client.
 *
 * @param {any} plugin
 * @param {"off" | { origin: string } | SignInService} network none, a service in another process, a service in this process
 */
export function createClient(plugin, network) {
  return new PublicClientApplication({
    auth: { clientId: CLIENT_ID, authority: AUTHORITY },
    cache: { cachePlugin: plugin },
    system: { networkClient: networkClientFor(network) },
  });
}

/** @param {Parameters<typeof createClient>[1]} network */
function networkClientFor(network) {
  if (network === "off") {
    return /** @type {any} */ (noNetworkClient());
  }
  return network instanceof SignInService
    ? localNetworkClient(network)
    : loopbackNetworkClient(network.origin);
}

/**
 * Creates store, plugin, client, and a service inside this process.
 *
 * @param {Store} store
 * @param {{ network?: Parameters<typeof createClient>[1], lock?: { retryNumber: number, retryDelay: number } }} [options]
 */
export async function open(store, { network = new SignInService(), lock } = {}) {
  const plugin = await createPlugin(store, lock);
  return { plugin, client: createClient(plugin, network), service: network };
}

/**
 * Signs in by device code; the offline service lets the named user approve.
 *
 * @param {PublicClientApplication} client
 * @param {string} username
 */
export function signInWithDeviceCode(client, username) {
  return client.acquireTokenByDeviceCode({
    scopes: SCOPES,
    extraQueryParameters: { login_hint: username },
    deviceCodeCallback: () => {},
  });
}

/**
 * Signs in with a refresh token from elsewhere. `forceCache` makes MSAL store the new refresh token.
 *
 * @param {PublicClientApplication} client
 * @param {string} username
 */
export function signInWithRefreshToken(client, username) {
  const refreshToken = new SignInService().refreshTokenFor(username);
  return client.acquireTokenByRefreshToken({ scopes: SCOPES, refreshToken, forceCache: true });
}

/**
 * Returns the sorted user names of the accounts that a client has.
 *
 * @param {PublicClientApplication} client
 */
export async function usernames(client) {
  const accounts = await client.getTokenCache().getAllAccounts();
  return accounts.map((account) => account.username).sort();
}

/**
 * @param {PublicClientApplication} client
 * @param {string} username
 */
export async function accountNamed(client, username) {
  const accounts = await client.getTokenCache().getAllAccounts();
  const account = accounts.find((candidate) => candidate.username === username);
  if (!account) {
    throw new Error(`${username} is not among ${JSON.stringify(accounts.map((one) => one.username))}`);
  }
  return account;
}

/**
 * Gets a token for an account that has signed in; uses the network only if asked to refresh.
 *
 * @param {PublicClientApplication} client
 * @param {string} username
 * @param {{ forceRefresh?: boolean }} [options]
 */
export async function silently(client, username, { forceRefresh = false } = {}) {
  return client.acquireTokenSilent({
    scopes: SCOPES,
    account: await accountNamed(client, username),
    forceRefresh,
  });
}

/** The module with which the original stores items. */
export async function keytar() {
  return (await import("keytar")).default;
}
