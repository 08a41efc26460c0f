// @ts-check
/**
 * Token caches and contexts as small as a plugin can be given: what msal-node passes, without msal-node.
 */
import { access } from "node:fs/promises";

/** What an MSAL cache without entries serialises to. */
export const MSAL_EMPTY = '{"Account":{},"IdToken":{},"AccessToken":{},"RefreshToken":{},"AppMetadata":{}}';

/**
 * A cache with one account.
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
 * A token cache: what it is given to deserialise is what it holds, until the test puts something else there.
 *
 * @param {string} content
 */
export function tokenCache(content = MSAL_EMPTY) {
  const cache = {
    content,
    /** Everything it was given. @type {string[]} */
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
 * What msal-node hands to both plugin methods.
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
 * A whole write: before, the client's change, after; and after in `finally`, as msal-node does it.
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
