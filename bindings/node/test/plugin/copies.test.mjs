// @ts-check
/** Several copies of the package in one process. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { timed } from "../support/clock.mjs";
import { anotherCopy, copyInContext, copyOfVersion } from "../support/copy.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";
import { change, list, Memory, namesIn } from "./memory.mjs";

const { EncryptedFilePersistence, FilePersistence, MemoryPersistence, PersistenceCachePlugin } =
  await imported();

/** Far shorter than the usual limit: a wait for oneself would end in an error. */
const LIMIT = { timeout: 5_000 };

test("a plugin of one copy over a persistence of another does not wait for itself", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const other = anotherCopy();
  assert.notEqual(other.FilePersistence, FilePersistence);
  const here = new PersistenceCachePlugin(await other.FilePersistence.create(path), LIMIT);
  const there = new other.PersistenceCachePlugin(await FilePersistence.create(path), LIMIT);
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

for (const [what, make] of /** @type {[string, () => any][]} */ ([
  ["of another version", () => copyOfVersion("9.9.9")],
  ["in a context of its own", copyInContext],
])) {
  test(`a plugin and a persistence of a copy ${what} and of ours work with each other`, async (t) => {
    const other = make();
    const folder = await scratchDirectory(t);
    const stores = /** @type {[string, (api: any) => any][]} */ ([
      ["file.json", (api) => api.FilePersistence.create(join(folder, "file.json"))],
      [
        "sealed.json",
        (api) =>
          api.EncryptedFilePersistence.create(join(folder, "sealed.json"), {
            type: "passphrase",
            passphrase: "a",
          }),
      ],
      ["memory", (api) => api.MemoryPersistence.create()],
    ]);
    for (const [name, create] of stores) {
      const [ours, theirs] = [
        await create({ FilePersistence, EncryptedFilePersistence, MemoryPersistence }),
        await create(other),
      ];
      const memory = new Memory();
      const { naps } = await timed(async () => {
        await change(new PersistenceCachePlugin(theirs, LIMIT), new Memory(), (m) => m.signIn("ada"));
        await change(
          new other.PersistenceCachePlugin(name === "memory" ? theirs : ours, LIMIT),
          new Memory(),
          (m) => m.signIn("bob"),
        );
        await Promise.all([
          change(new PersistenceCachePlugin(theirs, LIMIT), new Memory(), (m) => m.signIn("cleo")),
          change(new other.PersistenceCachePlugin(theirs, LIMIT), new Memory(), (m) => m.signIn("dora")),
        ]);
        assert.deepEqual(
          await list(new PersistenceCachePlugin(theirs, LIMIT), memory),
          ["ada", "bob", "cleo", "dora"],
          name,
        );
      });
      assert.ok(naps < 5_000, `${name}: waited ${naps} ms`);
    }
  });
}

test("a persistence of another version in a program's own one fails at once, and says so", async (t) => {
  const other = copyOfVersion("9.9.9");
  const inner = await other.FilePersistence.create(join(await scratchDirectory(t), "cache.json"));
  const own = new Proxy(inner, {
    get: (target, name) => {
      const value = Reflect.get(target, name);
      return typeof name === "symbol" ? undefined : typeof value === "function" ? value.bind(target) : value;
    },
  });
  const plugin = new PersistenceCachePlugin(own, LIMIT);
  await assert.rejects(
    change(plugin, new Memory(), (m) => m.signIn("ada")),
    {
      errorCode: "CrossPlatformLockError",
      code: "busy",
      errorMessage: /waits for itself.*tokenkeep \d.* holds.*tokenkeep 9\.9\.9/,
    },
  );
});

test("forty copies have one listener for the end of the process", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const before = process.listenerCount("exit");
  for (let count = 0; count < 20; count += 1) {
    await anotherCopy().FilePersistence.create(path);
    await copyInContext().FilePersistence.create(path);
  }
  assert.ok(process.listenerCount("exit") <= before + 1);
});
