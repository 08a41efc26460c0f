// @ts-check
/** Both implementations merge alike: the same changes, made at random, come to the same cache. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { scratchDirectory } from "../support/scratch.mjs";
import { binary, script as withoutBinary } from "./faces.mjs";

const ROUNDS = 3_000;

/** A generator of the same numbers every time. @param {number} seed */
function chance(seed) {
  let state = seed;
  return (/** @type {number} */ below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** @typedef {Record<string, Record<string, unknown>>} Cache */

/** Sets, changes or removes a few entries. @param {Cache} cache @param {(below: number) => number} pick @returns {Cache} */
function changed(cache, pick) {
  const next = structuredClone(cache);
  for (let step = pick(9); step > 0; step -= 1) {
    const user = `User${pick(3)}`;
    const section =
      ["Account", "RefreshToken", "AccessToken", "IdToken", "AppMetadata", "Strange"][pick(6)] ?? "";
    const key = `${user}-${pick(2)}`;
    const entries = next[section] ?? {};
    next[section] = entries;
    if (pick(3) === 0) {
      delete entries[key];
      continue;
    }
    entries[key] = {
      ...(section !== "AppMetadata" && { home_account_id: pick(2) ? user : user.toLowerCase() }),
      credential_type: pick(8) === 0 ? "ATExt" : section,
      cached_at: pick(2) ? String(pick(5)) : pick(5),
      secret: ["a", "b", 'with "quotes" and \\', "Zoë"][pick(4)],
      ...(pick(4) === 0 && { nested: { list: [1, { deep: "]}" }], none: null } }),
    };
  }
  if (pick(20) === 0) {
    delete next[["Account", "AccessToken", "Strange"][pick(3)] ?? ""];
  }
  return next;
}

test("random changes come to the same cache, keys and conflicts in both", async (t) => {
  const [rust, script] = [await binary(await scratchDirectory(t)), withoutBinary()];
  t.after(() => rust.close());
  const pick = chance(20_261_123);
  let conflicts = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const base = changed(changed({}, pick), pick);
    const ours = JSON.stringify(changed(base, pick));
    const theirs = pick(10) === 0 ? null : JSON.stringify(changed(base, pick), null, pick(2));
    const known = pick(8) === 0 ? undefined : JSON.stringify(base);
    const held = pick(3) === 0 ? null : JSON.stringify(base, null, pick(2));
    const change = [held, known, ours, theirs, pick(5) === 0, true];
    const [one, other] = await Promise.all([rust.ask("merge", ...change), script.ask("merge", ...change)]);
    const shown = JSON.stringify({ change, one, other }, null, 1);
    assert.deepEqual(JSON.parse(other.content), JSON.parse(one.content), shown);
    assert.deepEqual(other.keys, one.keys, shown);
    assert.equal(other.conflict?.kind, one.conflict?.kind, shown);
    conflicts += one.conflict ? 1 : 0;
  }
  assert.ok(conflicts > 10, `only ${conflicts} conflicts: the changes are too tame`);
});

const STORED =
  '{"Account":{},"Strange":{"big":12345678901234567890, "tiny":1.0e-400},"RefreshToken":{"a":{"n":1e999}}}';

test("what JavaScript cannot hold comes through as it was written", async (t) => {
  const [rust, script] = [await binary(await scratchDirectory(t)), withoutBinary()];
  t.after(() => rust.close());
  const ours = '{"Account":{"x":{"home_account_id":"x"}}}';
  for (const side of [rust, script]) {
    const { content } = await side.ask("merge", null, undefined, ours, STORED, false, false);
    for (const text of ["12345678901234567890", "1.0e-400", "1e999", '"home_account_id":"x"']) {
      assert.ok(content.includes(text), content);
    }
  }
});

for (const [what, theirs] of [
  ["half a cache", '{"Account":{"a"'],
  ["no cache", "[1]"],
  ["a section that is none", '{"Account":[]}'],
]) {
  test(`${what} in a program's own store is replaced by both`, async (t) => {
    const [rust, script] = [await binary(await scratchDirectory(t)), withoutBinary()];
    t.after(() => rust.close());
    for (const side of [rust, script]) {
      const ours = '{"Account":{"a":{"home_account_id":"a"}}}';
      const { content } = await side.ask("merge", null, undefined, ours, theirs, false, true);
      assert.deepEqual(JSON.parse(content), JSON.parse(ours));
    }
  });
}
