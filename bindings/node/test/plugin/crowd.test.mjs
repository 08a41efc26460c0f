// @ts-check
/** Many accesses at once in one process. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";
import { change, list, Memory } from "./memory.mjs";

const { FilePersistence, PersistenceCachePlugin } = await imported();
const CYCLES = 200;

/** @param {number} index */
const name = (index) => `user${String(index).padStart(3, "0")}`;
const NAMES = Array.from({ length: CYCLES }, (_, index) => name(index));

/** @param {import("node:test").TestContext} t @param {number} count */
async function plugins(t, count) {
  const path = join(await scratchDirectory(t), "cache.json");
  await FilePersistence.create(path);
  return Array.from({ length: count }, () => new PersistenceCachePlugin(new FilePersistence(path)));
}

/** What the same work costs one after another. @param {import("node:test").TestContext} t */
async function sequentially(t) {
  const [plugin] = await plugins(t, 1);
  const memory = new Memory();
  const start = performance.now();
  for (let index = 0; index < CYCLES; index++) {
    await change(plugin, memory, (m) => m.signIn(name(index)));
  }
  return performance.now() - start;
}

for (const count of [1, 10]) {
  test(`${CYCLES} writes at once on ${count} plugin(s) over one path: all, in order, at no more than twice the cost`, async (t) => {
    const alone = await sequentially(t);
    const crowd = await plugins(t, count);
    const memories = crowd.map(() => new Memory());
    /** @type {number[]} */
    const order = [];
    const start = performance.now();
    await Promise.all(
      NAMES.map((user, index) =>
        change(crowd[index % count], /** @type {Memory} */ (memories[index % count]), (memory) => {
          order.push(index);
          memory.signIn(user);
        }),
      ),
    );
    const together = performance.now() - start;
    t.diagnostic(`one after another ${Math.round(alone)} ms, at once ${Math.round(together)} ms`);
    assert.deepEqual(
      order,
      NAMES.map((_, index) => index),
    );
    assert.deepEqual(await list(crowd[0], new Memory()), NAMES);
    assert.ok(together < 2 * alone + 100, `${together} ms against ${alone} ms one after another`);
  });
}

test("the first in line times out while later ones with more patience get through", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  await FilePersistence.create(path);
  const holder = new PersistenceCachePlugin(new FilePersistence(path));
  const context = { tokenCache: new Memory(), cacheHasChanged: true };
  await holder.beforeCacheAccess(context);
  const hasty = new PersistenceCachePlugin(new FilePersistence(path), { retryNumber: 4, retryDelay: 50 });
  const patient = new PersistenceCachePlugin(new FilePersistence(path));
  const outcomes = Promise.allSettled([
    change(hasty, new Memory(), (m) => m.signIn("hasty1")),
    change(patient, new Memory(), (m) => m.signIn("patient")),
    change(hasty, new Memory(), (m) => m.signIn("hasty2")),
  ]);
  const start = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 800));
  await holder.afterCacheAccess(context);
  const [first, second, third] = await outcomes;
  assert.ok(performance.now() - start < 3_000);
  assert.equal(first?.status, "rejected");
  assert.equal(/** @type {any} */ (first).reason.errorCode, "CrossPlatformLockError");
  assert.equal(second?.status, "fulfilled");
  assert.equal(third?.status, "rejected");
  assert.equal(/** @type {any} */ (third).reason.errorCode, "CrossPlatformLockError");
  assert.deepEqual(await list(patient, new Memory()), ["patient"]);
});
