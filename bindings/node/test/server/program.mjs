// @ts-check
/**
 * A web program on msal-node's ConfidentialClientApplication and the offline sign-in service.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { ConfidentialClientApplication } from "@azure/msal-node";
import { KNOWN_HOST, SignInService } from "../../../../demo/signin/service.mjs";
import { localNetworkClient } from "../../../../demo/signin/transport.mjs";

export const CLIENT_ID = "00000000-0000-4000-8000-00000000c0de";
export const AUTHORITY = `https://${KNOWN_HOST}/organizations`;
export const SCOPES = ["https://api.example/read"];
const REDIRECT = "http://localhost/callback";

/** The configuration of msal-node, without a plugin. @param {SignInService} service @param {any} [network] */
export function configuration(service, network = localNetworkClient(service)) {
  return {
    auth: { clientId: CLIENT_ID, authority: AUTHORITY, clientSecret: "of no use outside the tests" },
    system: { networkClient: network },
  };
}

/** A client of msal-node with this plugin. @param {SignInService} service @param {any} cachePlugin @param {any} [network] */
export function client(service, cachePlugin, network) {
  return new ConfidentialClientApplication({ ...configuration(service, network), cache: { cachePlugin } });
}

/** The code with which a person comes back from the sign-in page. @param {SignInService} service @param {string} user */
export function codeFor(service, user) {
  const query = new URLSearchParams({
    login_hint: user,
    redirect_uri: REDIRECT,
    scope: SCOPES.join(" "),
    state: "s",
  });
  const { headers } = service.handle({ method: "GET", url: `${AUTHORITY}/oauth2/v2.0/authorize?${query}` });
  return new URL(String(headers.location)).searchParams.get("code") ?? "";
}

/** The request of a sign-in. @param {SignInService} service @param {string} user @param {string[]} [scopes] */
export function signInOf(service, user, scopes = SCOPES) {
  return { code: codeFor(service, user), scopes, redirectUri: REDIRECT };
}

/** Redemptions of a grant so far. @param {SignInService} service @param {string} grant */
export function redemptions(service, grant = "refresh_token") {
  return service.requests.filter((request) => request.grant?.endsWith(grant)).length;
}

/**
 * The sessions of a web program: each request runs in one, and the partition is its account's, as in Microsoft's samples.
 */
export class Sessions {
  #current = new AsyncLocalStorage();

  /** @template T @param {{ account?: string }} session @param {() => Promise<T>} request @returns {Promise<T>} */
  run(session, request) {
    return this.#current.run(session, request);
  }

  partitionManager = {
    getKey: async () => /** @type {any} */ (this.#current.getStore())?.account ?? "",
    extractKey: async (/** @type {any} */ account) => account.homeAccountId,
  };
}

/** What a plugin gives a client that looks: the text of the cache. @param {any} plugin @returns {Promise<string>} */
export async function look(plugin) {
  let text = "";
  const tokenCache = {
    deserialize: (/** @type {string} */ content) => {
      text = content ?? "";
    },
    serialize: () => text,
  };
  await plugin.beforeCacheAccess({ cacheHasChanged: false, tokenCache });
  return text;
}

/** The home account ids of the refresh tokens in a cache. @param {string} text @returns {string[]} */
export function holders(text) {
  const cache = text === "" ? {} : JSON.parse(text);
  const ids = Object.values(cache.RefreshToken ?? {}).map(
    (token) => /** @type {any} */ (token).home_account_id,
  );
  return [...new Set(ids)].sort();
}

export { ConfidentialClientApplication, SignInService };
