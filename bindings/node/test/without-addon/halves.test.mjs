// @ts-check
/** Siblings write in place, empty first and then filled: without the addon, too, nobody takes the first half for the cache. */
import assert from "node:assert/strict";
import { readdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { startActor } from "../support/actor.mjs";
import { scratchDirectory } from "../support/scratch.mjs";

const WHOLE = '{"Account":{"a":{"home_account_id":"a"}}}';

/** @param {import("node:test").TestContext} t */
async function reader(t) {
  const path = join(await scratchDirectory(t), "cache.json");
  const actor = await startActor(t, { ...process.env, TOKENKEEP_NATIVE_PATH: "none" });
  await actor.run(
    async ({ ext, scene, path }) => {
      scene.store = await ext.FilePersistence.create(path);
    },
    { path },
  );
  return { path, load: () => actor.run(({ scene }) => scene.store.load(), {}) };
}

for (const [half, write] of /** @type {[string, (path: string) => Promise<void>][]} */ ([
  ["emptied", (path) => truncate(path, 0)],
  ["half filled", (path) => writeFile(path, WHOLE.slice(0, 20))],
])) {
  test(`a file that is ${half} is read when it is filled`, async (t) => {
    const { path, load } = await reader(t);
    await writeFile(path, WHOLE);
    assert.equal(await load(), WHOLE);
    await write(path);
    const read = load();
    // Less than a writer is given, more than a reader takes that does not wait.
    await new Promise((resolve) => setTimeout(resolve, 60));
    await writeFile(path, WHOLE);
    assert.equal(await read, WHOLE);
  });
}

test("a file that stays empty is empty after a while", async (t) => {
  const { path, load } = await reader(t);
  assert.equal(await load(), "", "a new file that nobody has written");
  await writeFile(path, WHOLE);
  assert.equal(await load(), WHOLE);
  await truncate(path, 0);
  const before = performance.now();
  assert.equal(await load(), "");
  const took = performance.now() - before;
  assert.ok(took > 150, `believed after ${took} ms`);
  assert.deepEqual(await readdir(join(path, "..")), ["cache.json"], "a lock was left");
});
