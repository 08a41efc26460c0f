// @ts-check
/** A sign-out with another access of the same client in between: not done, reported, and done when repeated. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";
import { change, contextOf, list, Memory, namesIn } from "./memory.mjs";

const { FilePersistence, MemoryPersistence, PersistenceCachePlugin } = await imported();

/** @type {[string, (path: string, options: object) => Promise<any>][]} */
const STORES = [
  ["a file", (path, logger) => FilePersistence.create(path, logger)],
  ["memory", (_, logger) => MemoryPersistence.create(logger)],
];

for (const [name, create] of STORES) {
  test(`${name}: a sign-out in a disturbed window is reported as a warning and an event, and works the second time`, async (t) => {
    const path = join(await scratchDirectory(t), "cache.json");
    /** @type {string[]} */
    const warnings = [];
    const loggerCallback = (/** @type {number} */ level, /** @type {string} */ text) => {
      if (level === 1) {
        warnings.push(text);
      }
    };
    const persistence = await create(path, { loggerCallback });
    /** @type {any[]} */
    const events = [];
    const onEvent = (/** @type {any} */ event) => events.push(event);
    const plugin = new PersistenceCachePlugin(persistence, undefined, { onEvent });
    const memory = new Memory();
    await change(plugin, memory, (mine) => mine.signIn("ada"));
    await change(plugin, memory, (mine) => mine.signIn("bob"));

    const context = contextOf(memory, true);
    await plugin.beforeCacheAccess(context);
    // Another access of the same client, while the change is being made.
    await list(plugin, memory);
    memory.signOut("ada");
    memory.signIn("cleo");
    await plugin.afterCacheAccess(context);
    assert.deepEqual(namesIn(await persistence.load()), ["ada", "bob", "cleo"]);
    assert.deepEqual(
      events.map(({ kind, accounts }) => [kind, accounts]),
      [["signOutUndone", 1]],
    );
    assert.equal(events[0].path, persistence.getFilePath());
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /sign them out again/);
    assert.doesNotMatch(`${warnings}${JSON.stringify(events)}`, /ada/);
    assert.deepEqual(await list(plugin, memory), ["ada", "bob", "cleo"], "the client shows what is stored");

    await change(plugin, memory, (mine) => mine.signOut("ada"));
    assert.deepEqual(namesIn(await persistence.load()), ["bob", "cleo"]);
    assert.equal(events.length, 1, "nothing more to tell");
  });
}

test("a disturbed window without a sign-out tells nothing, even if it stored nothing", async (t) => {
  const persistence = await FilePersistence.create(join(await scratchDirectory(t), "cache.json"));
  /** @type {any[]} */
  const events = [];
  const onEvent = (/** @type {any} */ event) => events.push(event);
  const plugin = new PersistenceCachePlugin(persistence, undefined, { onEvent });
  const memory = new Memory();
  await change(plugin, memory, (mine) => mine.signIn("ada"));
  for (const action of [() => {}, () => memory.signIn("bob")]) {
    const context = contextOf(memory, true);
    await plugin.beforeCacheAccess(context);
    await list(plugin, memory);
    action();
    await plugin.afterCacheAccess(context);
  }
  assert.deepEqual(events, []);
  assert.deepEqual(namesIn(await persistence.load()), ["ada", "bob"]);
});
