// @ts-check
/**
 * Texts of any length and any characters arrive as they are, whether V8 keeps a character in one byte or in two.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";

const { FilePersistence, PersistenceCachePlugin } = await imported();

const LENGTHS = [1, 16_384, 65_537, 200_000];

/** One byte in UTF-8; one in Latin-1 and two in UTF-8; more in both; half a character, which no encoding has. */
const CHARACTERS = ["a", "\x80", "é", "ÿ", "Ā", "漢", "😀", "\ud800"];

/** @param {string} character @param {number} length @param {number} at where it stands in the text, from 0 to 1 */
function text(character, length, at) {
  const before = Math.floor((length - 1) * at);
  return "x".repeat(before) + character + "y".repeat(length - 1 - before);
}

test("what is saved is what the text is in UTF-8", async (t) => {
  const path = join(await scratchDirectory(t), "cache");
  const file = await FilePersistence.create(path, undefined, { durability: "cached" });
  for (const character of CHARACTERS) {
    for (const length of LENGTHS) {
      for (const at of [0, 0.5, 1]) {
        const content = text(character, length, at);
        const label = `${JSON.stringify(character)} in ${length} at ${at}`;
        await file.save(content);
        assert.ok((await readFile(path)).equals(Buffer.from(content)), label);
        assert.ok((await file.load()) === Buffer.from(content).toString(), label);
      }
    }
  }
});

test("a text that is put together of parts, or cut out of another, arrives too", async (t) => {
  const path = join(await scratchDirectory(t), "cache");
  const file = await FilePersistence.create(path, undefined, { durability: "cached" });
  let rope = "";
  for (let n = 0; n < 9_000; n += 1) {
    rope += `part ${n} `;
  }
  await file.save(rope);
  assert.equal(await readFile(path, "utf8"), rope);
  await file.save(`漢${rope}`.slice(1, -7));
  assert.equal(await readFile(path, "utf8"), rope.slice(0, -7));
});

test("texts that are committed at once do not get mixed up", async (t) => {
  const home = await scratchDirectory(t);
  const one = async (/** @type {number} */ n) => {
    const path = join(home, `cache-${n}`);
    const file = await FilePersistence.create(path, undefined, { durability: "cached" });
    const plugin = new PersistenceCachePlugin(file);
    const content = JSON.stringify({ own: `${n}`.repeat(100_000 + n) });
    const context = {
      cacheHasChanged: true,
      tokenCache: { serialize: () => content, deserialize: () => {} },
    };
    for (let round = 0; round < 5; round += 1) {
      await plugin.beforeCacheAccess(context);
      await plugin.afterCacheAccess(context);
    }
    assert.equal(await readFile(path, "utf8"), content);
  };
  await Promise.all(Array.from({ length: 8 }, (_, n) => one(n)));
});
