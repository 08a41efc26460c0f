// @ts-check
/**
 * Many processes of several kinds on one cache file. Processes of tokenkeep alone lose no sign-in, never overlap, and
 * read only whole caches. Beside siblings they damage no sibling's entries, and every loss is traced to a sibling's
 * write that ignored a lock or did not read the file. `docs/siblings.md` has the results.
 *
 * TOKENKEEP_TORTURE=n repeats each run n times, with up to eight processes.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isOurs } from "./crew.mjs";
import { keep } from "./record.mjs";
import { report, runCrowd } from "./run.mjs";

/**
 * @typedef {import("./crew.mjs").Kind} Kind
 * @typedef {import("./run.mjs").Run} Run
 */

const TORTURE = Number(process.env.TOKENKEEP_TORTURE ?? 0);
const RUNS = TORTURE || 2;
const COUNT = TORTURE ? 25 : 10;

/**
 * Runs a mixed run and examines the result. Keeps the whole record of a run with a loss or a failure.
 *
 * @param {import("node:test").TestContext} t
 * @param {Kind[]} kinds
 * @param {(run: Run & { theirs: Run["rows"] }) => void} examine
 */
async function crowd(t, kinds, examine) {
  const run = await runCrowd(t, kinds, COUNT);
  for (const line of report(run)) {
    t.diagnostic(line);
  }
  try {
    examineOurs(run);
    examine({ ...run, theirs: run.rows.filter(({ kind }) => !isOurs(kind)) });
  } catch (/** @type {any} */ error) {
    error.message += `\nThe journals are in ${await keep(run.record)}`;
    throw error;
  }
  if (run.losses.length > 0) {
    t.diagnostic(`the journals are in ${await keep(run.record)}`);
  }
}

/** @param {Run} run */
function examineOurs(run) {
  for (const { name, kind, errors, acknowledged } of run.rows) {
    if (isOurs(kind)) {
      assert.deepEqual(errors, [], `${name} never fails`);
      assert.equal(acknowledged, COUNT, name);
    }
  }
  assert.equal(run.ourOverlaps, 0, "ours are never inside together");
  assert.deepEqual(run.dropped, [], "ours write all that they found");
  assert.deepEqual(run.read.unreadable, [], "ours read whole caches alone");
  assert.ok(run.read.reads > COUNT, "the reader was there");
}

/** @type {Kind[]} */
const FOUR = ["node", "rust", "node", "rust"];
const OURS = TORTURE ? [...FOUR, ...FOUR] : FOUR;

for (let round = 1; round <= RUNS; round++) {
  test(`${OURS.length} of tokenkeep, run ${round}: no sign-in is lost`, async (t) => {
    await crowd(t, OURS, ({ losses, overlaps, read }) => {
      assert.deepEqual(losses, []);
      assert.deepEqual(overlaps, []);
      assert.equal(read.shrunk, 0, "what was seen once is seen again");
      assert.equal(read.damaged, 0, "nobody does damage");
    });
  });
}

/** Each sibling alone among processes of tokenkeep, so that every fault is its own or ours. @type {Kind[]} */
const SIBLINGS = ["original", "python", "portalocker"];
const BESIDE = FOUR.slice(0, TORTURE ? 4 : 2);

for (const sibling of SIBLINGS) {
  for (let round = 1; round <= RUNS; round++) {
    test(`${BESIDE.length} of tokenkeep and one ${sibling}, run ${round}: the sibling loses no entry to tokenkeep`, async (t) => {
      await crowd(t, [...BESIDE, sibling], ({ losses, overlaps, read, theirs }) => {
        assert.equal(read.damaged, 0, "one sibling alone does no damage");
        assert.deepEqual(
          losses.filter(({ ours }) => ours),
          [],
          "every loss is the sibling's own write",
        );
        assert.deepEqual(
          overlaps.filter(({ came }) => isOurs(came)),
          [],
          "ours never come while it is inside",
        );
        assert.deepEqual(
          theirs.map(({ acknowledged }) => acknowledged),
          [COUNT],
          "all of its sign-ins succeed",
        );
      });
    });
  }
}

const EVERYBODY = [...BESIDE, ...SIBLINGS];

for (let round = 1; round <= RUNS; round++) {
  test(`${EVERYBODY.length} of every kind, run ${round}: every loss is a sibling's own`, async (t) => {
    await crowd(t, EVERYBODY, ({ losses }) => {
      assert.deepEqual(
        losses.filter(({ ours }) => ours),
        [],
      );
    });
  });
}
