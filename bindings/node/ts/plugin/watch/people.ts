// Who is signed in, as far as a cache tells, and what differs between two moments.
import { builtin } from "../../builtin";

/** An account in an event: one person in one cloud, with whatever tenants. Never a token. */
export interface WatchedAccount {
  /** Names the person across tenants: object id, a point, home tenant id. msal-node's `homeAccountId`. */
  readonly homeAccountId: string;
  /** The host of the cloud, as the cache has it. */
  readonly environment: string;
  /** What the person signs in with, mostly like a mail address. */
  readonly username?: string;
  /** The person's name, for people. */
  readonly name?: string;
  /** The tenants of which the cache has a profile, sorted. */
  readonly tenants: readonly string[];
}

/** Who came, who went, and of whom something else is known than before. At least one of the lists is not empty. */
export interface CacheChange {
  /** Accounts that were not there before: somebody signed in. */
  readonly added: readonly WatchedAccount[];
  /** Accounts that are no longer there, as they were last seen: somebody signed out. */
  readonly removed: readonly WatchedAccount[];
  /**
   * Accounts that are still there, of which the description or the refresh token is another: somebody signed in again, or
   * a token was renewed.
   */
  readonly changed: readonly WatchedAccount[];
}

interface Known {
  readonly account: WatchedAccount;
  /** Equal for equal accounts with equal refresh tokens, which it does not show. */
  readonly print: string;
}

/** The people of one moment, by person and cloud. */
export type People = ReadonlyMap<string, Known>;

export const NOBODY: People = new Map();

/** The names of one cloud, the first as most libraries write it; as the core has them. */
const CLOUDS = [
  ["login.windows.net", "login.microsoftonline.com", "login.microsoft.com", "sts.windows.net"],
  ["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
  ["login.microsoftonline.us", "login.usgovcloudapi.net"],
];

type Entry = Record<string, unknown>;

/**
 * The people in a cache; nobody where there is none.
 *
 * @throws SyntaxError or TypeError for what is no token cache.
 */
export function peopleOf(content: string | null): People {
  const cache = JSON.parse(content?.replace(/^\uFEFF/, "") || "{}") as Record<string, Record<string, Entry>>;
  if (typeof cache !== "object" || cache === null || Array.isArray(cache)) {
    throw new TypeError("not a token cache");
  }
  const found = new Map<string, { account: WatchedAccount & { tenants: string[] }; tokens: string[] }>();
  for (const [key, entry] of Object.entries(cache.Account ?? {})) {
    const homeAccountId = text(entry.home_account_id) ?? key;
    const environment = text(entry.environment) ?? "";
    const person = personOf(homeAccountId, environment);
    const known = found.get(person)?.account;
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
    found.set(person, { account, tokens: [] });
  }
  for (const token of Object.values(cache.RefreshToken ?? {})) {
    const person = personOf(text(token.home_account_id) ?? "", text(token.environment) ?? "");
    found.get(person)?.tokens.push(text(token.secret) ?? "");
  }
  const people = new Map<string, Known>();
  for (const [person, { account, tokens }] of found) {
    people.set(person, { account, print: printOf(account, tokens.sort()) });
  }
  return people;
}

/** What is different in `now`; `undefined` when nothing is. */
export function difference(before: People, now: People): CacheChange | undefined {
  const change = {
    added: [...now].filter(([person]) => !before.has(person)).map(([, { account }]) => account),
    removed: [...before].filter(([person]) => !now.has(person)).map(([, { account }]) => account),
    changed: [...now]
      .filter(([person, { print }]) => (before.get(person)?.print ?? print) !== print)
      .map(([, { account }]) => account),
  };
  return change.added.length + change.removed.length + change.changed.length > 0 ? change : undefined;
}

/** `people` with the difference between `before` and `after` made there as well. */
export function following(people: People, before: People, after: People): People {
  const next = new Map(people);
  for (const person of before.keys()) {
    if (!after.has(person)) {
      next.delete(person);
    }
  }
  for (const [person, known] of after) {
    if (before.get(person)?.print !== known.print) {
      next.set(person, known);
    }
  }
  return next;
}

function personOf(homeAccountId: string, environment: string): string {
  const host = environment.toLowerCase();
  const cloud = CLOUDS.find((names) => names.includes(host))?.[0] ?? host;
  return JSON.stringify([homeAccountId.toLowerCase(), cloud]);
}

function printOf(account: WatchedAccount, tokens: readonly string[]): string {
  const text = JSON.stringify([account, tokens]);
  return builtin("node:crypto").createHash("sha256").update(text).digest("base64");
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
