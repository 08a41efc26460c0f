// @ts-check
/**
 * A real `PublicClientApplication` over a persistence of the package under test, signing in with the offline service.
 * Runs inside actors; the tests say which persistence, which user, which network.
 */
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
 * How a cache is stored in a test.
 *
 * @typedef {"FilePersistence" | "LibSecretPersistence" | "EncryptedFilePersistence" | "PersistenceCreator"} Kind
 * @typedef {{ kind: Kind, cachePath: string, usePlaintextFileOnLinux?: boolean, serviceName?: string,
 *   accountName?: string, key?: object, partition?: string, fallback?: object[], [more: string]: unknown }} Store
 */

/**
 * Creates the persistence through the class a program would use.
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
 * A plugin over a store, as a program makes it.
 *
 * @param {Store} store
 * @param {{ retryNumber: number, retryDelay: number }} [lock]
 */
export async function createPlugin(store, lock) {
  const { PersistenceCachePlugin } = await imported();
  return new PersistenceCachePlugin(await createPersistence(store), lock);
}

/**
 * An MSAL client.
 *
 * @param {any} plugin
 * @param {"off" | { origin: string } | SignInService} network nobody, a service elsewhere, a service in this process
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
 * Everything at once: store, plugin, client, and a service inside this process.
 *
 * @param {Store} store
 * @param {{ network?: Parameters<typeof createClient>[1], lock?: { retryNumber: number, retryDelay: number } }} [options]
 */
export async function open(store, { network = new SignInService(), lock } = {}) {
  const plugin = await createPlugin(store, lock);
  return { plugin, client: createClient(plugin, network), service: network };
}

/**
 * Device code sign-in; the offline service lets the named person approve.
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
 * Sign-in with a refresh token from elsewhere. `forceCache` is what makes MSAL keep the new refresh token.
 *
 * @param {PublicClientApplication} client
 * @param {string} username
 */
export function signInWithRefreshToken(client, username) {
  const refreshToken = new SignInService().refreshTokenFor(username);
  return client.acquireTokenByRefreshToken({ scopes: SCOPES, refreshToken, forceCache: true });
}

/**
 * User names of the accounts a client sees, sorted.
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
 * A token for somebody who signed in before; refreshed over the network only when asked to.
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

/** The module the original stores with, itself. */
export async function keytar() {
  return (await import("keytar")).default;
}
