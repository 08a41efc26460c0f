// @ts-check
/**
 * A client's memory, for the accesses of a plugin without msal-node.
 */

/** A cache as msal-node has it in memory, for one access. @param {string} [text] */
function memory(text = "{}") {
  let cache = JSON.parse(text);
  return {
    get cache() {
      return cache;
    },
    cacheHasChanged: false,
    hasChanged: false,
    tokenCache: {
      serialize: () => JSON.stringify(cache),
      deserialize: (/** @type {string} */ stored) => {
        cache = stored ? JSON.parse(stored) : {};
      },
    },
  };
}

/** Adds an access token through a plugin, with a client of its own. @param {any} plugin @param {string} owner @param {string} resource */
export async function add(plugin, owner, resource) {
  const client = memory();
  client.cacheHasChanged = client.hasChanged = true;
  await plugin.beforeCacheAccess(client);
  client.cache.AccessToken ??= {};
  client.cache.AccessToken[`of-node-${resource}`] = {
    home_account_id: owner,
    environment: "login.windows.net",
    client_id: "shop",
    realm: "tenant",
    credential_type: "AccessToken",
    secret: "a token of Node",
    target: `https://${resource}/.default`,
    cached_at: String(Math.floor(Date.now() / 1_000)),
    expires_on: String(Math.floor(Date.now() / 1_000) + 3_600),
  };
  await plugin.afterCacheAccess(client);
}

/** The cache that a client finds through a plugin. @param {any} plugin */
export async function read(plugin) {
  const client = memory();
  await plugin.beforeCacheAccess(client);
  await plugin.afterCacheAccess(client);
  return client.cache;
}

/** The resources of a cache's access tokens. @param {any} cache */
export const targets = (cache) =>
  Object.values(cache.AccessToken ?? {})
    .map((token) => /** @type {any} */ (token).target.split("/")[2])
    .sort();
