// @ts-check
/**
 * Judges a mixed run from the journals of its processes and the final file: the acknowledged accounts that are
 * missing, the processes that were inside at once, and the write that lost an entry, with its cause.
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

/**
 * Returns the entries that count in a cache: the account and the refresh token of each user, by home account id. Some
 * libraries write them one after the other under separate locks, so that either can be lost alone.
 *
 * @param {string} text
 */
export function entries(text) {
  /** @type {Record<string, Record<string, any>>} */
  const { Account = {}, RefreshToken = {} } = JSON.parse(text);
  /** @param {string} what @param {Record<string, any>} section */
  const ids = (what, section) => Object.values(section).map((entry) => `${what} ${entry.home_account_id}`);
  return [...ids("account", Account), ...ids("token", RefreshToken)];
}

/** @param {string} id */
export const entriesOf = (id) => [`account ${id}`, `token ${id}`];

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
  const present = new Set(entries(left));
  /** @type {Loss[]} */
  const losses = [];
  const rows = accounts.map(({ name, kind, journal }) => {
    const acknowledged = journal.flatMap((entry) => (entry.at === "signed-in" ? [entry] : []));
    const lost = acknowledged.flatMap(({ person, id }) => {
      const traces = entriesOf(id).flatMap((entry) => (present.has(entry) ? [] : [trace(entry, writes)]));
      // Of two traces, the one that blames tokenkeep.
      const found = traces.find(({ ours }) => ours) ?? traces[0];
      if (found?.writes.length === 0) {
        // The process acknowledged an account that it never passed to its own store.
        return [{ person, owner: kind, ...found, ours: isOurs(kind) }];
      }
      return found ? [{ person, owner: kind, ...found }] : [];
    });
    losses.push(...lost);
    const errors = journal.flatMap((entry) => (entry.at === "failed" ? [entry.error] : []));
    return { name, kind, acknowledged: acknowledged.length, lost: lost.length, errors };
  });
  const kindOf = (/** @type {string | null} */ name) => accounts.find((one) => one.name === name)?.kind;
  const overlaps = writes
    .filter(({ met }) => met !== null)
    .map(({ kind, met }) => ({ inside: kindOf(met) ?? "unknown", came: kind }));
  return {
    rows,
    losses,
    overlaps,
    /** Two of tokenkeep inside at once; an unknown process counts as one of tokenkeep. */
    ourOverlaps: overlaps.filter(
      ({ inside, came }) => isOurs(came) && (isOurs(inside) || inside === "unknown"),
    ).length,
    /** Writes of tokenkeep that dropped an entry they had found. */
    dropped: writes.filter(
      ({ kind, found, wrote }) => isOurs(kind) && found.some((entry) => !wrote.includes(entry)),
    ),
  };
}

/**
 * Finds the write that removed an entry permanently, and its cause. A process was inside at least from `entered` to
 * `saving`, the file changed between `saving` and `saved`, and the lock is released after that.
 *
 * @param {string} entry
 * @param {Write[]} writes in the order in which they began to save, which is that of the lock: a process may be slow to
 *   notice that it has saved
 * @returns {Omit<Loss, "person" | "owner">}
 */
function trace(entry, writes) {
  const last = writes.findLastIndex(({ wrote }) => wrote.includes(entry));
  const kept = writes[last];
  if (!kept) {
    return { by: "nobody", how: "nobody wrote it", ours: true, writes: [] };
  }
  const next = writes[last + 1];
  // A write that began earlier may have ended later, if both were inside. It is to blame if the next one found the
  // entry gone.
  const beneath = writes.slice(0, last).findLast(({ saved }) => saved > kept.saving);
  const isFree = next && !next.there?.includes(entry) && next.entered > kept.saved;
  const taker = beneath && (!next || isFree) ? beneath : next;
  if (!taker) {
    return { by: "nobody", how: "nobody wrote after it", ours: true, writes: [describe(kept)] };
  }
  return { ...blame(entry, kept, taker, writes), writes: [describe(kept), describe(taker)] };
}

/** @param {string} entry @param {Write} kept @param {Write} taker @param {Write[]} writes */
function blame(entry, kept, taker, writes) {
  const by = taker.kind;
  const within = kept.entered > taker.entered && kept.entered < taker.saved;
  if (taker.there?.includes(entry) && !within) {
    // The entry was in the file when the second writer had the lock. (The journal may also show entries that came
    // while it was inside: it reads the file a moment after it has recorded its entry.)
    return { by, how: "did not look at the file under its lock", ours: isOurs(by) };
  }
  if (taker.there === null) {
    // The file was not a whole cache: the result of two siblings that write in place at once.
    const siblings = writes.filter(({ kind, saving }) => !isOurs(kind) && saving < taker.entered);
    const atOnce = siblings.some((one) =>
      siblings.some((two) => one !== two && one.saving < two.saved && two.saving < one.saved),
    );
    return { by, how: "found what two siblings had written over each other", ours: !atOnce };
  }
  if (taker.entered > kept.saved) {
    // Kept, released, and gone before the next entry: a process wrote without the lock.
    return { by, how: "found it gone, though nobody was seen to write", ours: isOurs(kept.kind) };
  }
  // Both were inside at once: the second entered in spite of the lock, unless a third had removed the lock file.
  const [first, second] = taker.entered > kept.entered ? [kept, taker] : [taker, kept];
  // All kinds can do so: the original removes any lock file, the others the file that they opened or take for it.
  const removers = writes.some(
    ({ kind, name }) => !isOurs(kind) && name !== first.name && name !== second.name,
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
