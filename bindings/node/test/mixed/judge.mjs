// @ts-check
/**
 * Judges a run of a crowd from the journals of its members and the file they left: what was acknowledged and is
 * missing, who was inside together with whom, and which write it was that lost an entry, and by what right.
 */
import { isOurs } from "./crew.mjs";

/**
 * @typedef {import("./crew.mjs").Kind} Kind
 * @typedef {import("./crew.mjs").Entry} Entry
 * @typedef {import("./crew.mjs").Wrote} Wrote
 * @typedef {{ name: string, kind: Kind, journal: Entry[] }} Account
 * @typedef {Wrote & { name: string, kind: Kind }} Write
 * @typedef {{ person: string, owner: Kind, by: Kind | "nobody", how: string, ours: boolean,
 *   writes: string[] }} Loss `ours`: not shown to be a sibling's fault; `writes`: the one that kept it and the one that took it
 */

/** Who is signed in: has both an account and a refresh token. @param {string} text */
export function people(text) {
  /** @type {Record<string, Record<string, any>>} */
  const { Account = {}, RefreshToken = {} } = JSON.parse(text);
  const tokens = new Set(Object.values(RefreshToken).map((token) => token.home_account_id));
  const signedIn = Object.values(Account).filter((account) => tokens.has(account.home_account_id));
  return signedIn.map((account) => String(account.username));
}

/**
 * @param {Account[]} accounts
 * @param {string} left the file at the end
 */
export function judge(accounts, left) {
  const writes = accounts
    .flatMap(({ name, kind, journal }) =>
      journal.flatMap((entry) => (entry.at === "wrote" ? [{ ...entry, name, kind }] : [])),
    )
    .sort((one, other) => one.saving - other.saving);
  const present = new Set(people(left));
  /** @type {Loss[]} */
  const losses = [];
  const rows = accounts.map(({ name, kind, journal }) => {
    const acknowledged = journal.flatMap((entry) => (entry.at === "signed-in" ? [entry.person] : []));
    const lost = acknowledged.filter((person) => !present.has(person));
    losses.push(...lost.map((person) => ({ person, owner: kind, ...trace(person, writes) })));
    const errors = journal.flatMap((entry) => (entry.at === "failed" ? [entry.error] : []));
    return { name, kind, acknowledged: acknowledged.length, lost: lost.length, errors };
  });
  const kindOf = (/** @type {string | null} */ name) => accounts.find((one) => one.name === name)?.kind;
  const overlaps = writes
    .filter(({ met }) => met !== null)
    .map(({ kind, met }) => ({ inside: kindOf(met) ?? "somebody", came: kind }));
  return {
    rows,
    losses,
    overlaps,
    /** Ours inside with ours; one whom nobody could name counts as ours. */
    ourOverlaps: overlaps.filter(
      ({ inside, came }) => isOurs(came) && (isOurs(inside) || inside === "somebody"),
    ).length,
    /** Writes of ours that dropped something they had found. */
    dropped: writes.filter(
      ({ kind, found, wrote }) => isOurs(kind) && found.some((person) => !wrote.includes(person)),
    ),
  };
}

/**
 * The write that took a person away for good, and how it could. A section surely lasted from `entered` to `saving`, and
 * the file changed somewhere from `saving` to `saved`; the release of the lock comes after that.
 *
 * @param {string} person
 * @param {Write[]} writes in the order in which they began to save, which is that of the lock: a process may be slow to
 *   notice that it has saved
 * @returns {Omit<Loss, "person" | "owner">}
 */
function trace(person, writes) {
  const last = writes.findLastIndex(({ wrote }) => wrote.includes(person));
  const kept = writes[last];
  if (!kept) {
    return { by: "nobody", how: "nobody wrote it", ours: true, writes: [] };
  }
  // A write that began before may have ended after it, if both were inside.
  const later = writes.slice(last + 1);
  const beneath = writes.slice(0, last).filter(({ saved }) => saved > kept.saving);
  const [taker] = later.length > 0 ? later : beneath;
  if (!taker) {
    return { by: "nobody", how: "nobody wrote after it", ours: true, writes: [describe(kept)] };
  }
  return { ...blame(person, kept, taker, writes), writes: [describe(kept), describe(taker)] };
}

/** @param {string} person @param {Write} kept @param {Write} taker @param {Write[]} writes */
function blame(person, kept, taker, writes) {
  const by = taker.kind;
  if (taker.there?.includes(person)) {
    // It lay in the file when the taker had the lock already.
    return { by, how: "did not look at the file under its lock", ours: isOurs(by) };
  }
  if (taker.entered > kept.saved) {
    // Kept, released, and gone again before the next one came in: somebody wrote without a section.
    return { by, how: "found it gone, though nobody was seen to write", ours: isOurs(kept.kind) };
  }
  // Both inside at once: whoever came second came in spite of the other's lock, unless a third had taken that away.
  const [first, second] = taker.entered > kept.entered ? [kept, taker] : [taker, kept];
  const removers = writes.some(
    ({ kind, name }) => kind === "original" && name !== first.name && name !== second.name,
  );
  if (!isOurs(second.kind)) {
    return { by: second.kind, how: "came in spite of the lock", ours: false };
  }
  const excused = removers && !isOurs(first.kind);
  return {
    by: second.kind,
    how: excused ? "came when a third had removed the lock" : "came in spite of the lock",
    ours: !excused,
  };
}

/** @param {Write} write */
const describe = ({ name, entered, saving, saved }) => `${name} ${entered} ${saving} ${saved}`;
