// @ts-check
/** Many accesses at the same time in one process. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { timed } from "../support/clock.mjs";
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

for (const count of [1, 10]) {
  test(`${CYCLES} writes at once on ${count} plugin(s) over one path: all arrive, in order`, async (t) => {
    const crowd = await plugins(t, count);
    const memories = crowd.map(() => new Memory());
    /** @type {string[]} */
    const order = [];
    const cycles = NAMES.map((user, index) => {
      const which = index % count;
      return change(crowd[which], /** @type {Memory} */ (memories[which]), (memory) => {
        order.push(user);
        memory.signIn(user);
      });
    });
    await Promise.all(cycles);
    assert.deepEqual(order, NAMES);
    assert.deepEqual(await list(crowd[0], new Memory()), NAMES);
  });
}

test("the first waiter times out while later ones with a longer limit get the lock", async (t) => {
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
  const { result, naps } = await timed(async () => {
    await new Promise((resolve) => setTimeout(resolve, 800));
    await holder.afterCacheAccess(context);
    return outcomes;
  });
  const [first, second, third] = result;
  assert.ok(naps < 3_000, `${naps} naps`);
  assert.equal(first?.status, "rejected");
  assert.equal(/** @type {any} */ (first).reason.errorCode, "CrossPlatformLockError");
  assert.equal(second?.status, "fulfilled");
  assert.equal(third?.status, "rejected");
  assert.equal(/** @type {any} */ (third).reason.errorCode, "CrossPlatformLockError");
  assert.deepEqual(await list(patient, new Memory()), ["patient"]);
});
