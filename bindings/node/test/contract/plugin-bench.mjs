// @ts-check
/**
 * The smallest token caches and contexts that a plugin can get: the objects that msal-node passes, without msal-node.
 */
import { access } from "node:fs/promises";

/** The serialised form of an MSAL cache without entries. */
export const MSAL_EMPTY = '{"Account":{},"IdToken":{},"AccessToken":{},"RefreshToken":{},"AppMetadata":{}}';

/**
 * Returns a cache with one account.
 *
 * @param {string} name
 */
export function entry(name) {
  const account = {
    home_account_id: `${name}.tenant`,
    environment: "login.windows.net",
    realm: "tenant",
    local_account_id: name,
    username: `${name}@contoso.example`,
    authority_type: "MSSTS",
  };
  return JSON.stringify({
    ...JSON.parse(MSAL_EMPTY),
    Account: { [`${name}.tenant-login.windows.net-tenant`]: account },
  });
}

/**
 * Returns a token cache. It holds the text that it last deserialised, until the test sets another one.
 *
 * @param {string} content
 */
export function tokenCache(content = MSAL_EMPTY) {
  const cache = {
    content,
    /** All texts that it deserialised. @type {string[]} */
    seen: [],
    serialize: () => cache.content,
    deserialize: (/** @type {string} */ text) => {
      cache.seen.push(text);
      cache.content = text;
    },
  };
  return cache;
}

/**
 * Returns the context that msal-node passes to both plugin methods.
 *
 * @template Cache
 * @param {Cache} cache
 * @param {boolean} changed
 */
export function contextOf(cache, changed) {
  return { tokenCache: cache, cacheHasChanged: changed, hasChanged: changed };
}

/** @param {string} cachePath */
export function lockfileExists(cachePath) {
  return access(`${cachePath}.lockfile`).then(
    () => true,
    () => false,
  );
}

/**
 * Runs a whole write: before, the client's change, and after in `finally`, as msal-node does it.
 *
 * @param {any} plugin
 * @param {string} content what the client holds once it has changed
 * @param {ReturnType<typeof tokenCache>} [cache]
 */
export async function write(plugin, content, cache = tokenCache()) {
  const context = contextOf(cache, true);
  try {
    await plugin.beforeCacheAccess(context);
    cache.content = content;
  } finally {
    await plugin.afterCacheAccess(context);
  }
}
