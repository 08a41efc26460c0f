// @ts-check
/**
 * A client's memory that behaves as msal-node's does where it matters to a plugin: deserialising adds to what is there,
 * serialising writes what is there, single entries can be taken out, and `overwriteCache` clears it around a read.
 */

const SECTIONS = /** @type {const} */ (["Account", "RefreshToken", "AccessToken", "IdToken", "AppMetadata"]);

/** @param {string} name */
export const accountKey = (name) => `${name}.utid-login.windows.net-utid`;
/** @param {string} name */
export const tokenKey = (name) => `${name}.utid-login.windows.net-refreshtoken-client---`;

/** @typedef {Record<string, string>} Entry */

export class Memory {
  /** Everything, by key, as in msal-node. @type {Record<string, Entry>} */
  entries = {};
  /** How often it was given something. */
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

/** The accounts in a serialised cache. @param {string} text */
export function namesIn(text) {
  return Object.values(/** @type {Record<string, Entry>} */ (JSON.parse(text || "{}").Account ?? {}))
    .map(({ username }) => username)
    .sort();
}

/** @param {Memory} tokenCache @param {boolean} cacheHasChanged */
export const contextOf = (tokenCache, cacheHasChanged) => ({ tokenCache, cacheHasChanged });

/** What msal-node does to list accounts. @param {any} plugin @param {Memory} memory */
export async function list(plugin, memory) {
  const context = contextOf(memory, false);
  await plugin.beforeCacheAccess(context);
  const names = memory.names();
  await plugin.afterCacheAccess(context);
  return names;
}

/**
 * What msal-node does to change its cache: `after` in any case.
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

/** What msal-node does at the beginning of `acquireTokenSilent`. @param {any} plugin @param {Memory} memory */
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
