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
 * @typedef {{ person: string, owner: Kind, by: Kind | "nobody", how: string, ours: boolean }} Loss
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
 * The write that took a person away for good, and how it could. A section surely lasted from `entered` to `saving`;
 * its end, the release of the lock, lies somewhere before `saved`.
 *
 * @param {string} person
 * @param {Write[]} writes in the order in which they began to save, which is that of the lock: a process may be slow to
 *   notice that it has saved
 * @returns {Pick<Loss, "by" | "how" | "ours">}
 */
function trace(person, writes) {
  const last = writes.findLastIndex(({ wrote }) => wrote.includes(person));
  const [kept, taker] = [writes[last], writes[last + 1]];
  if (!kept || !taker) {
    return { by: "nobody", how: kept ? "nobody wrote after it" : "nobody wrote it", ours: true };
  }
  const by = taker.kind;
  if (taker.there?.includes(person)) {
    // It lay in the file when the taker had the lock already.
    return { by, how: "did not look at the file under its lock", ours: isOurs(by) };
  }
  if (taker.entered > kept.saving) {
    return { by, how: "came while the other was saving", ours: isOurs(by) };
  }
  // Both inside at once: whoever came second came in spite of the other's lock, unless a third had taken that away.
  const second = taker.entered > kept.entered ? taker : kept;
  const thirds = writes.some(({ kind, name }) => !isOurs(kind) && name !== taker.name && name !== kept.name);
  const excused = !isOurs(second.kind) || thirds;
  return {
    by: second.kind,
    how: isOurs(second.kind) ? "came when a third had removed the lock" : "came in spite of the lock",
    ours: !excused || (isOurs(taker.kind) && isOurs(kept.kind)),
  };
}
