// @ts-check
/** Several copies of the package in one process. */
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { anotherCopy } from "../support/copy.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";
import { change, list, Memory, namesIn } from "./memory.mjs";

const { FilePersistence, PersistenceCachePlugin } = await imported();

test("a plugin of one copy over a persistence of another does not wait for itself", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const other = anotherCopy();
  assert.notEqual(other.FilePersistence, FilePersistence);
  // Far shorter than the usual limit: a wait for oneself would end in an error.
  const limit = { timeout: 5_000 };
  const here = new PersistenceCachePlugin(await other.FilePersistence.create(path), limit);
  const there = new other.PersistenceCachePlugin(await FilePersistence.create(path), limit);
  await Promise.all([
    change(here, new Memory(), (m) => m.signIn("ada")),
    change(there, new Memory(), (m) => m.signIn("bob")),
  ]);
  await change(here, new Memory(), (m) => m.signIn("cleo"));
  assert.deepEqual(namesIn(await readFile(path, "utf8")), ["ada", "bob", "cleo"]);
  assert.deepEqual(await list(there, new Memory()), ["ada", "bob", "cleo"]);
});

test("errors of the addon have their codes in every copy", async (t) => {
  const other = anotherCopy();
  const path = join(await scratchDirectory(t), "cache.json");
  await assert.rejects(new other.FilePersistence(path).load(), { code: "ENOENT" });
  await assert.rejects(new other.FilePersistence("/proc/self/no/cache.json").save("{}"), (error) =>
    other.isPersistenceError(error),
  );
});

test("a persistence of another version in the plugin's own call fails at once, and says so", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const file = await FilePersistence.create(path);
  const plugin = new PersistenceCachePlugin(file);
  await change(plugin, new Memory(), (m) => m.signIn("ada"));
  const key = Symbol.for("tokenkeep.held");
  const world = /** @type {any} */ (globalThis);
  world[key] ??= new AsyncLocalStorage();
  const held = { path: resolve(path), hold: 1, version: "9.9.9" };
  for (const call of [() => file.save("{}"), () => file.load(), () => file.delete()]) {
    await assert.rejects(world[key].run(held, call), {
      errorCode: "CrossPlatformLockError",
      code: "busy",
      errorMessage: /waits for itself: tokenkeep 9\.9\.9 holds/,
    });
  }
});

test("twenty copies have one listener for the end of the process", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const before = process.listenerCount("exit");
  for (let count = 0; count < 20; count += 1) {
    await anotherCopy().FilePersistence.create(path);
  }
  assert.ok(process.listenerCount("exit") <= before + 1);
});
