// Brings a client's change together with what is stored now: the rules of the core's `schema::merge`, which its
// documentation has as a table, in TypeScript.
import {
  type Document,
  EMPTY,
  entriesOf,
  isCache,
  isSame,
  parse,
  SECTIONS,
  type Section,
  write,
} from "./document";
import { type Failed, failed } from "./failure";

/** A client's change from `base`, which it made of `held`, to `ours`. */
export interface Change {
  readonly held: string | null;
  readonly base: string | null;
  readonly ours: string;
  /** Another access came in between: what is missing in `ours` proves no intention to delete it. */
  readonly disturbed: boolean;
}

export interface Merged {
  readonly content: string;
  /** What to tell the client, once the content is stored: part of its change was left out. */
  readonly conflict: Failed | undefined;
}

/** One entry as the four caches have it. */
interface Versions {
  readonly base: string | undefined;
  readonly held: string | undefined;
  readonly ours: string | undefined;
  readonly theirs: string | undefined;
}

/** What became of an account: signed out by us, by somebody else, or by somebody else and signed in anew by us. */
type Fate = "signed-out" | "gone" | "signed-in-again";

/**
 * `credential_type`s that clients know. Other entries are an extension that they cannot see, let alone delete; nor do they
 * delete what is in a section that is not here.
 */
const TYPES: Partial<Record<Section, readonly string[]>> = {
  AccessToken: ["accesstoken", "accesstoken_with_authscheme"],
  RefreshToken: ["refreshtoken"],
  IdToken: ["idtoken"],
};

/**
 * Applies `change` to `theirs`; nothing stored and an empty file are the same.
 *
 * @throws Failed `damaged` when `theirs` is not a token cache, `invalid_input` when `ours` is not.
 */
export function merge(change: Change, theirs: string | null): Merged {
  const ours = parse(change.ours);
  if (!isCache(ours)) {
    throw failed("invalid_input", "the content to be merged is not a token cache");
  }
  const stored = theirs ? parse(theirs) : EMPTY;
  if (stored === undefined) {
    throw failed("damaged", "the stored token cache is damaged");
  }
  const known = change.base === null ? undefined : parse(change.base);
  const base = known ?? EMPTY;
  const held = (known && change.held !== null && parse(change.held)) || base;
  return new Merge(base, held, ours, stored, change.disturbed).run(theirs);
}

class Merge {
  private readonly fates: ReadonlyMap<string, Fate>;
  private dropped = 0;
  private changed = false;

  constructor(
    private readonly base: Document,
    private readonly held: Document,
    private readonly ours: Document,
    private readonly theirs: Document,
    private readonly disturbed: boolean,
  ) {
    this.fates = fates(base, ours, theirs, disturbed);
  }

  run(text: string | null): Merged {
    const names = union(this.theirs.root, this.ours.root);
    const root = names.flatMap((name): [string, string][] => {
      const value = isSection(name) ? this.section(name) : this.unknown(name);
      return value === undefined ? [] : [[name, value]];
    });
    const content = text && !this.changed ? text : write(root);
    return { content, conflict: this.dropped > 0 ? conflict(this.dropped) : undefined };
  }

  private section(section: Section): string {
    const [base, held, ours, theirs] = [this.base, this.held, this.ours, this.theirs].map((one) =>
      entriesOf(one, section),
    ) as [Map<string, string>, Map<string, string>, Map<string, string>, Map<string, string>];
    const kept: [string, string][] = [];
    for (const key of union(theirs, ours)) {
      const versions = {
        base: base.get(key),
        held: held.get(key),
        ours: ours.get(key),
        theirs: theirs.get(key),
      };
      const value = this.entry(section, versions);
      this.changed ||= value !== versions.theirs;
      if (value !== undefined) {
        kept.push([key, value]);
      }
    }
    return write(kept);
  }

  /** The version to keep; none to keep nothing. */
  private entry(section: Section, versions: Versions): string | undefined {
    const { base, ours, theirs } = versions;
    const account = this.fates.size > 0 ? accountOf(ours ?? theirs) : undefined;
    const fate = account === undefined ? undefined : this.fates.get(account);
    const news = isChangedByUs(versions) && !isSame(ours, theirs);
    if (fate === "signed-out") {
      return undefined;
    }
    if (fate === "gone" && news) {
      this.dropped += 1;
      return theirs;
    }
    if (fate === "signed-in-again" && theirs === undefined) {
      return ours;
    }
    if (base !== undefined && ours === undefined && theirs !== undefined) {
      return this.isDeleted(section, versions) ? undefined : theirs;
    }
    if (theirs === undefined) {
      return isChangedByUs(versions) ? ours : undefined;
    }
    if (!news) {
      return theirs;
    }
    const later = section === "AccessToken" && cachedAt(theirs) > cachedAt(ours);
    return isChangedByOthers(versions) && later ? theirs : ours;
  }

  private isDeleted(section: Section, versions: Versions): boolean {
    if (this.disturbed) {
      return false;
    }
    if (section === "Account") {
      // A sign-out counts, whatever else happened to the account meanwhile.
      return true;
    }
    const type = textMember(versions.theirs, "credential_type").toLowerCase();
    return (TYPES[section]?.includes(type) ?? false) && !isChangedByOthers(versions);
  }

  private unknown(name: string): string | undefined {
    const [base, ours, theirs] = [this.base, this.ours, this.theirs].map((one) => one.root.get(name));
    const held = this.held.root.get(name);
    const versions = { base, held, ours, theirs };
    const wins = isChangedByUs(versions) && (theirs === undefined || !isChangedByOthers(versions));
    const value = wins ? ours : theirs;
    this.changed ||= value !== theirs;
    return value;
  }
}

function isChangedByUs({ base, ours }: Versions): boolean {
  return ours !== undefined && !isSame(base, ours);
}

function isChangedByOthers({ held, theirs }: Versions): boolean {
  return !isSame(held, theirs);
}

function fates(base: Document, ours: Document, theirs: Document, disturbed: boolean): Map<string, Fate> {
  const found = new Map<string, Fate>();
  const gone = missingAccounts(base, theirs);
  if (gone.size > 0) {
    const before = entriesOf(base, "Account");
    const anew = [...entriesOf(ours, "Account")].filter(([key, value]) => !isSame(before.get(key), value));
    const signedIn = new Set(anew.map(([, value]) => accountOf(value)));
    for (const account of gone) {
      found.set(account, signedIn.has(account) ? "signed-in-again" : "gone");
    }
  }
  if (!disturbed) {
    for (const account of missingAccounts(base, ours)) {
      found.set(account, "signed-out");
    }
  }
  return found;
}

/** The accounts that `earlier` has and `later` has under no key, in no environment. */
function missingAccounts(earlier: Document, later: Document): Set<string> {
  const missing = new Set<string>();
  for (const value of entriesOf(earlier, "Account").values()) {
    const account = accountOf(value);
    if (account !== undefined) {
      missing.add(account);
    }
  }
  for (const value of entriesOf(later, "Account").values()) {
    missing.delete(accountOf(value) ?? "");
  }
  return missing;
}

/** The account an entry belongs to; case does not distinguish accounts. Tokens of an app itself belong to none. */
function accountOf(entry: string | undefined): string | undefined {
  return textMember(entry, "home_account_id").toLowerCase() || undefined;
}

/** When a token was obtained, in seconds since the epoch, whether written as a number or as a string of one. */
function cachedAt(entry: string | undefined): number {
  const seconds = Number(member(entry, "cached_at") ?? 0);
  return Number.isFinite(seconds) ? seconds : 0;
}

function textMember(entry: string | undefined, name: string): string {
  const value = member(entry, name);
  return typeof value === "string" ? value : "";
}

function member(entry: string | undefined, name: string): unknown {
  return (JSON.parse(entry ?? "null") as Record<string, unknown> | null)?.[name];
}

function isSection(name: string): name is Section {
  return (SECTIONS as readonly string[]).includes(name);
}

function union(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): string[] {
  return [...new Set([...one.keys(), ...other.keys()])];
}

function conflict(dropped: number): Failed {
  const what = dropped === 1 ? "a token was" : `${dropped} tokens were`;
  const whose = dropped === 1 ? "its account has" : "their account has";
  return failed(
    "conflict",
    `${what} not stored because ${whose} been signed out meanwhile. Sign in again if the account is still wanted`,
  );
}
