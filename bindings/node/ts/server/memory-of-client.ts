// The memory of one msal-node client: what was fed to it, and whose entries changed in it.
import type { SerializableTokenCache } from "../msal-types";

/** msal-node's in-memory entries, by key. Other clients have no such thing. */
interface KeyValueStore {
  getKVStore?(): Record<string, unknown>;
}

/** What each client was fed last, so that what the store no longer has leaves its memory. */
const fed = new WeakMap<SerializableTokenCache, string>();

/**
 * Gives a client the stored cache. `deserialize` adds to what is there, so entries of an earlier feed that are gone are
 * removed first.
 */
export function feed(memory: SerializableTokenCache, content: string | null): void {
  const before = fed.get(memory);
  const next = content ?? "";
  if (before !== undefined && before !== next) {
    const entries = (memory as KeyValueStore).getKVStore?.();
    const present = new Set(keysOf(next));
    for (const key of entries === undefined ? [] : keysOf(before)) {
      if (!present.has(key)) {
        delete (entries as Record<string, unknown>)[key];
      }
    }
  }
  memory.deserialize(next);
  fed.set(memory, next);
}

/** Notes what a client handed to the store: it counts as fed. */
export function exchanged(memory: SerializableTokenCache, content: string): void {
  fed.set(memory, content);
}

type Entry = Readonly<Record<string, unknown>>;
type Sections = Readonly<Record<string, Readonly<Record<string, Entry>> | null>>;

function sectionsOf(content: string): Sections {
  return content === "" ? {} : (JSON.parse(content) as Sections);
}

function keysOf(content: string): string[] {
  return Object.values(sectionsOf(content)).flatMap((section) => Object.keys(section ?? {}));
}

/** An account whose entries differ. */
export interface ChangedAccount {
  /** Empty for the tokens of an app. */
  readonly homeAccountId: string;
  /** Its account entry, as it is or was. */
  readonly account: Entry | undefined;
}

/** The accounts whose entries differ between two caches. */
export function changedAccounts(base: string, ours: string): ChangedAccount[] {
  const [before, after] = [sectionsOf(base), sectionsOf(ours)];
  const ids = new Map<string, string>();
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (name === "AppMetadata") {
      continue;
    }
    const [old, now] = [before[name] ?? {}, after[name] ?? {}];
    for (const key of new Set([...Object.keys(old), ...Object.keys(now)])) {
      if (JSON.stringify(old[key]) !== JSON.stringify(now[key])) {
        const id = String((now[key] ?? old[key])?.home_account_id ?? "");
        ids.set(id.toLowerCase(), id);
      }
    }
  }
  return [...ids.values()].map((homeAccountId) => ({
    homeAccountId,
    account: accountIn(after, homeAccountId) ?? accountIn(before, homeAccountId),
  }));
}

/** The home account ids of the accounts in a cache. */
export function accountsIn(content: string): string[] {
  const accounts = Object.values(sectionsOf(content).Account ?? {});
  return [...new Set(accounts.map((account) => String(account.home_account_id ?? "")))];
}

function accountIn(sections: Sections, homeAccountId: string): Entry | undefined {
  const accounts = Object.values(sections.Account ?? {});
  const id = homeAccountId.toLowerCase();
  return accounts.find((account) => String(account.home_account_id ?? "").toLowerCase() === id);
}
