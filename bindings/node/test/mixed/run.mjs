// @ts-check
/** One mixed run on one new cache file. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startSession } from "../support/session.mjs";
import { enlist, isOurs, startReader } from "./crew.mjs";
import { judge } from "./judge.mjs";

/**
 * @typedef {import("./crew.mjs").Kind} Kind
 * @typedef {ReturnType<typeof judge> & { read: import("./crew.mjs").Read, seconds: number,
 *   record: import("./record.mjs").Record }} Run
 */

/** Longer than the slowest run has taken on two busy cores. */
const DEADLINE_MS = 240_000;

/**
 * @param {import("node:test").TestContext} t
 * @param {Kind[]} kinds one process each
 * @param {number} count sign-ins per process
 * @returns {Promise<Run>}
 */
export async function runCrowd(t, kinds, count) {
  // Processes of tokenkeep alone need no pauses.
  const pause = kinds.every(isOurs) ? 0 : 40;
  const session = await startSession(t, "none");
  const path = join(session.home, "cache.json");
  const work = { path, witness: join(session.home, "witness"), count, pause, deadline: DEADLINE_MS };
  // The file always exists, so that a read of an absent file is a fault.
  await writeFile(path, "{}", { mode: 0o600 });
  const place = { env: session.env, after: (/** @type {() => unknown} */ end) => t.after(end) };
  const reader = await startReader(place, work);
  const members = await Promise.all(kinds.map((kind, index) => enlist(place, kind, `${kind}${index}`, work)));
  const start = performance.now();
  const accounts = await Promise.all(
    members.map(async ({ name, kind, play }) => ({ name, kind, journal: await play() })),
  );
  const seconds = (performance.now() - start) / 1_000;
  const read = await reader.stop();
  const left = await readFile(path, "utf8");
  return { ...judge(accounts, left), read, seconds, record: { accounts, left, read } };
}

/** Formats the result: acknowledged and lost sign-ins of each process, and the writes that lost them. @param {Run} run */
export function report({ rows, losses, overlaps, read, seconds }) {
  /** @param {string[]} what */
  const counted = (what) => {
    const counts = new Map();
    for (const one of what) {
      counts.set(one, (counts.get(one) ?? 0) + 1);
    }
    return [...counts].map(([one, times]) => `${times} x ${one}`);
  };
  return [
    `${seconds.toFixed(1)} s; ${read.reads} reads, ${read.busy} busy, ${read.damaged} damaged, ${read.unreadable.length} unreadable`,
    ...rows.map(({ name, acknowledged, lost, errors }) =>
      [`${name}: ${acknowledged} acknowledged, ${lost} lost`, ...counted(errors)].join("; "),
    ),
    ...counted(losses.map(({ owner, by, how }) => `of ${owner} lost: ${by} ${how}`)),
    ...counted(overlaps.map(({ inside, came }) => `overlap: ${inside} was inside when ${came} came`)),
  ];
}
