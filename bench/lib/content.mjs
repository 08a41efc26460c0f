// @ts-check
/**
 * Token caches of a given size in the format of msal-node: one account and as many access tokens as fit.
 */

const TOKEN_BYTES = 1_400;

/**
 * Returns a cache of exactly `bytes` bytes. Variants differ in the secret of one token, like a cache after a refresh.
 *
 * @param {number} bytes
 * @param {number} [variant]
 */
export function cacheOf(bytes, variant = 0) {
  /** @type {Record<string, Record<string, Record<string, string>>>} */
  const cache = { Account: {}, IdToken: {}, AccessToken: {}, RefreshToken: {}, AppMetadata: {} };
  const home = "00000000-0000-0000-0000-000000000001.contoso";
  cache.Account[`${home}-login.microsoftonline.com-contoso`] = {
    home_account_id: home,
    environment: "login.microsoftonline.com",
    realm: "contoso",
    local_account_id: "00000000-0000-0000-0000-000000000001",
    username: "someone@contoso.example",
    authority_type: "MSSTS",
  };
  const stamp = String(variant).padStart(12, "0");
  for (let size = JSON.stringify(cache).length, n = 0; size + TOKEN_BYTES + 700 < bytes; n += 1) {
    const [key, token] = accessToken(home, n, n === 0 ? stamp : "0".repeat(12));
    cache.AccessToken[key] = token;
    size += JSON.stringify({ [key]: token }).length + 1;
  }
  cache.AppMetadata[`appmetadata-login.microsoftonline.com-${stamp}`] = { client_id: "", family_id: "" };
  const short = bytes - JSON.stringify(cache).length;
  if (short < 0) {
    throw new Error(`no token cache has only ${bytes} bytes`);
  }
  const [metadata] = Object.values(cache.AppMetadata);
  metadata.client_id = "x".repeat(short);
  return JSON.stringify(cache);
}

/**
 * Returns a cache of `accounts` accounts, each with an identity token, an access token and a refresh token, about 4
 * KB together. Variants differ like those of `cacheOf`.
 *
 * @param {number} accounts
 * @param {number} [variant]
 */
export function cacheOfAccounts(accounts, variant = 0) {
  /** @type {Record<string, Record<string, Record<string, string>>>} */
  const cache = { Account: {}, IdToken: {}, AccessToken: {}, RefreshToken: {}, AppMetadata: {} };
  const stamp = String(variant).padStart(12, "0");
  for (let n = 0; n < accounts; n += 1) {
    const local = `00000000-0000-0000-0000-${String(n).padStart(12, "0")}`;
    const home = `${local}.contoso`;
    const environment = "login.microsoftonline.com";
    const shared = { home_account_id: home, environment };
    cache.Account[`${home}-${environment}-contoso`] = {
      ...shared,
      realm: "contoso",
      local_account_id: local,
      username: `person-${n}@contoso.example`,
      authority_type: "MSSTS",
    };
    const [key, token] = accessToken(home, n, n === 0 ? stamp : "0".repeat(12));
    cache.AccessToken[key] = token;
    const credential = { ...shared, client_id: "client", secret: token.secret };
    cache.IdToken[`${home}-${environment}-idtoken-client-contoso-`] = {
      ...credential,
      credential_type: "IdToken",
      realm: "contoso",
    };
    cache.RefreshToken[`${home}-${environment}-refreshtoken-client--`] = {
      ...credential,
      credential_type: "RefreshToken",
    };
  }
  return JSON.stringify(cache);
}

/** @param {string} home @param {number} n @param {string} stamp @returns {[string, Record<string, string>]} */
function accessToken(home, n, stamp) {
  const target = `https://api-${n}.contoso.example/.default`;
  const key = `${home}-login.microsoftonline.com-accesstoken-client-contoso-${target}`;
  const secret = `${stamp}${"eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9".repeat(30)}`.slice(0, TOKEN_BYTES - 400);
  const token = {
    home_account_id: home,
    environment: "login.microsoftonline.com",
    credential_type: "AccessToken",
    client_id: "client",
    secret,
    realm: "contoso",
    target,
    cached_at: "1700000000",
    expires_on: "1700003600",
    extended_expires_on: "1700007200",
    token_type: "Bearer",
  };
  return [key, token];
}

/**
 * The token cache that msal-node passes to a plugin. It keeps the cache as text, because msal-node's own parsing is
 * not measured.
 */
export class Client {
  /** @param {string} content */
  constructor(content) {
    this.content = content;
    /** The number of times that content was loaded. */
    this.loads = 0;
    this.tokenCache = {
      serialize: () => this.content,
      deserialize: (/** @type {string} */ text) => {
        // Every client parses the text. V8 joins a text of pieces at the first access, so access it once.
        text.charCodeAt(0);
        this.content = text;
        this.loads += 1;
      },
    };
  }

  /** @param {boolean} changed */
  context(changed) {
    return { tokenCache: this.tokenCache, cacheHasChanged: changed, hasChanged: changed };
  }
}
