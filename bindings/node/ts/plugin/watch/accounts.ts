// The signed-in accounts of a cache, and the difference between two states of it.
import { builtin } from "../../builtin";

/** An account in an event: one user in one cloud, with all tenants. It holds no token. */
export interface WatchedAccount {
  /** The same in all tenants: object id, a dot, home tenant id. msal-node's `homeAccountId`. */
  readonly homeAccountId: string;
  /** The host of the cloud, as stored in the cache. */
  readonly environment: string;
  /** The sign-in name, usually a mail address. */
  readonly username?: string;
  /** The user's display name. */
  readonly name?: string;
  /** The tenants of which the cache has a profile, sorted. */
  readonly tenants: readonly string[];
}

/** The accounts that were added, removed and changed. At least one of the lists is not empty. */
export interface CacheChange {
  /** Accounts that were not there before: a sign-in. */
  readonly added: readonly WatchedAccount[];
  /** Accounts that are no longer there, as last seen: a sign-out. */
  readonly removed: readonly WatchedAccount[];
  /**
   * Accounts with another description or another refresh token: a repeated sign-in or a renewed token.
   */
  readonly changed: readonly WatchedAccount[];
}

interface Known {
  readonly account: WatchedAccount;
  /** A hash of the account and its refresh tokens, equal for equal ones. */
  readonly fingerprint: string;
}

/** The accounts in one state of a cache, by home account id and cloud. */
export type Accounts = ReadonlyMap<string, Known>;

export const NO_ACCOUNTS: Accounts = new Map();

/** The host names of each cloud, the usual one first; the same list as in the core. */
const CLOUDS = [
  ["login.windows.net", "login.microsoftonline.com", "login.microsoft.com", "sts.windows.net"],
  ["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
  ["login.microsoftonline.us", "login.usgovcloudapi.net"],
];

type Entry = Record<string, unknown>;

/**
 * The accounts in a cache; none for `null`.
 *
 * @throws SyntaxError or TypeError for content that is no token cache.
 */
export function accountsOf(content: string | null): Accounts {
  const cache = JSON.parse(content?.replace(/^\uFEFF/, "") || "{}") as Record<string, Record<string, Entry>>;
  if (typeof cache !== "object" || cache === null || Array.isArray(cache)) {
    throw new TypeError("not a token cache");
  }
  const found = new Map<string, { account: WatchedAccount & { tenants: string[] }; tokens: string[] }>();
  for (const [key, entry] of Object.entries(cache.Account ?? {})) {
    const homeAccountId = text(entry.home_account_id) ?? key;
    const environment = text(entry.environment) ?? "";
    const id = idOf(homeAccountId, environment);
    const known = found.get(id)?.account;
    const tenants = new Set([...(known?.tenants ?? []), ...[text(entry.realm) ?? []].flat()]);
    const username = known?.username ?? text(entry.username);
    const name = known?.name ?? text(entry.name);
    const account = {
      homeAccountId: known?.homeAccountId ?? homeAccountId,
      environment: known?.environment ?? environment,
      ...(username !== undefined && { username }),
      ...(name !== undefined && { name }),
      tenants: [...tenants].sort(),
    };
    found.set(id, { account, tokens: [] });
  }
  for (const token of Object.values(cache.RefreshToken ?? {})) {
    const id = idOf(text(token.home_account_id) ?? "", text(token.environment) ?? "");
    found.get(id)?.tokens.push(text(token.secret) ?? "");
  }
  const accounts = new Map<string, Known>();
  for (const [id, { account, tokens }] of found) {
    accounts.set(id, { account, fingerprint: fingerprintOf(account, tokens.sort()) });
  }
  return accounts;
}

/** The changes from `before` to `now`; `undefined` without any. */
export function difference(before: Accounts, now: Accounts): CacheChange | undefined {
  const change = {
    added: [...now].filter(([id]) => !before.has(id)).map(([, { account }]) => account),
    removed: [...before].filter(([id]) => !now.has(id)).map(([, { account }]) => account),
    changed: [...now]
      .filter(([id, { fingerprint }]) => (before.get(id)?.fingerprint ?? fingerprint) !== fingerprint)
      .map(([, { account }]) => account),
  };
  return change.added.length + change.removed.length + change.changed.length > 0 ? change : undefined;
}

/** `accounts` with the changes from `before` to `after` applied. */
export function applyDifference(accounts: Accounts, before: Accounts, after: Accounts): Accounts {
  const next = new Map(accounts);
  for (const id of before.keys()) {
    if (!after.has(id)) {
      next.delete(id);
    }
  }
  for (const [id, known] of after) {
    if (before.get(id)?.fingerprint !== known.fingerprint) {
      next.set(id, known);
    }
  }
  return next;
}

function idOf(homeAccountId: string, environment: string): string {
  const host = environment.toLowerCase();
  const cloud = CLOUDS.find((names) => names.includes(host))?.[0] ?? host;
  return JSON.stringify([homeAccountId.toLowerCase(), cloud]);
}

function fingerprintOf(account: WatchedAccount, tokens: readonly string[]): string {
  const text = JSON.stringify([account, tokens]);
  return builtin("node:crypto").createHash("sha256").update(text).digest("base64");
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
