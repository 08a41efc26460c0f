// @ts-check
/**
 * A client's memory with the behaviour of msal-node that a plugin depends on: deserialising adds entries, serialising
 * writes all entries, single entries can be removed, and `overwriteCache` clears it around a read.
 */

const SECTIONS = /** @type {const} */ (["Account", "RefreshToken", "AccessToken", "IdToken", "AppMetadata"]);

/** @param {string} name */
export const accountKey = (name) => `${name}.utid-login.windows.net-utid`;
/** @param {string} name */
export const tokenKey = (name) => `${name}.utid-login.windows.net-refreshtoken-client---`;

/** @typedef {Record<string, string>} Entry */

export class Memory {
  /** All entries by key, as in msal-node. @type {Record<string, Entry>} */
  entries = {};
  /** The number of times it deserialised. */
  deserialized = 0;
  /** @type {string} */
  snapshot = "";

  /** @param {string} text */
  deserialize(text) {
    this.deserialized += 1;
    this.snapshot = text;
    const cache = JSON.parse(text);
    for (const section of SECTIONS) {
      for (const [key, value] of Object.entries(cache[section] ?? {})) {
        this.entries[key] = { ...value, section };
      }
    }
  }

  serialize() {
    /** @type {Record<string, Record<string, Entry>>} */
    const cache = Object.fromEntries(SECTIONS.map((section) => [section, {}]));
    for (const [key, { section = "", ...value }] of Object.entries(this.entries)) {
      Object.assign(cache[section] ?? {}, { [key]: value });
    }
    return JSON.stringify(cache);
  }

  getKVStore() {
    return this.entries;
  }

  /** @param {string} name */
  signIn(name) {
    const home_account_id = `${name}.utid`;
    const common = { home_account_id, environment: "login.windows.net" };
    this.entries[accountKey(name)] = { ...common, section: "Account", realm: "utid", username: name };
    this.entries[tokenKey(name)] = {
      ...common,
      section: "RefreshToken",
      credential_type: "RefreshToken",
      client_id: "client",
      secret: `secret of ${name}`,
    };
  }

  /** @param {string} name */
  signOut(name) {
    delete this.entries[accountKey(name)];
    delete this.entries[tokenKey(name)];
  }

  names() {
    return Object.values(this.entries)
      .filter(({ section }) => section === "Account")
      .map(({ username }) => username)
      .sort();
  }
}

/** Returns the accounts in a serialised cache. @param {string} text */
export function namesIn(text) {
  return Object.values(/** @type {Record<string, Entry>} */ (JSON.parse(text || "{}").Account ?? {}))
    .map(({ username }) => username)
    .sort();
}

/** @param {Memory} tokenCache @param {boolean} cacheHasChanged */
export const contextOf = (tokenCache, cacheHasChanged) => ({ tokenCache, cacheHasChanged });

/** Lists accounts like msal-node. @param {any} plugin @param {Memory} memory */
export async function list(plugin, memory) {
  const context = contextOf(memory, false);
  await plugin.beforeCacheAccess(context);
  const names = memory.names();
  await plugin.afterCacheAccess(context);
  return names;
}

/**
 * Changes the cache like msal-node: `after` is called in any case.
 *
 * @param {any} plugin @param {Memory} memory @param {(memory: Memory) => void} change
 */
export async function change(plugin, memory, change) {
  const context = contextOf(memory, true);
  try {
    await plugin.beforeCacheAccess(context);
    change(memory);
  } finally {
    await plugin.afterCacheAccess(context);
  }
}

/** Begins `acquireTokenSilent` like msal-node. @param {any} plugin @param {Memory} memory */
export async function overwriteCache(plugin, memory) {
  memory.entries = {};
  const context = contextOf(memory, false);
  await plugin.beforeCacheAccess(context);
  const overlay = new Memory();
  if (memory.snapshot) {
    overlay.deserialize(memory.snapshot);
  }
  memory.entries = { ...memory.entries, ...overlay.entries };
  await plugin.afterCacheAccess(context);
}
