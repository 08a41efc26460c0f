// @ts-check
/** Persistences other than ours: a program's own, a subclass, a proxy, a replaced method. */
import assert from "node:assert/strict";
import { access, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { lockfileExists } from "../contract/plugin-bench.mjs";
import { timed } from "../support/clock.mjs";
import { until } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";
import { change, contextOf, list, Memory, namesIn, tokenKey } from "./memory.mjs";

const { FilePersistence, PersistenceCachePlugin } = await imported();

/** A persistence in memory that counts its calls and tells whether it was locked during them. */
class Own {
  content = "";
  version = 0;
  /** @type {string[]} */
  calls = [];
  /** @type {boolean[]} */
  locked = [];
  /** Called during a save. @type {() => void | Promise<void>} */
  during = () => {};

  /** @param {string} path */
  constructor(path) {
    this.path = path;
    this.logger = new FilePersistence(path).getLogger();
  }
  async note(/** @type {string} */ name) {
    this.calls.push(name);
    const held = await access(`${this.path}.lockfile`).then(
      () => true,
      () => false,
    );
    this.locked.push(held);
  }
  async save(/** @type {string} */ contents) {
    await this.note("save");
    await this.during();
    this.content = contents;
    this.version = Date.now();
  }
  async load() {
    await this.note("load");
    return this.content;
  }
  async delete() {
    return false;
  }
  async reloadNecessary(/** @type {number} */ lastSync) {
    return lastSync < this.version;
  }
  getFilePath() {
    return this.path;
  }
  getLogger() {
    return this.logger;
  }
  async verifyPersistence() {
    return true;
  }
  async createForPersistenceValidation() {
    return this;
  }
}

test("a write loads and saves under the lock, and calls nothing else", async (t) => {
  const own = new Own(join(await scratchDirectory(t), "cache.json"));
  const plugin = new PersistenceCachePlugin(own);
  const memory = new Memory();
  await change(plugin, memory, (m) => m.signIn("ada"));
  assert.deepEqual(await list(plugin, memory), ["ada"]);
  assert.deepEqual(namesIn(own.content), ["ada"]);
  assert.ok(own.calls.includes("load") && own.calls.includes("save"));
  assert.ok(own.locked.every(Boolean), "every call was under the lock");
  await assert.rejects(access(own.path), "no file appears that the persistence did not make");
});

test("changes of two plugins are merged, sign-outs too", async (t) => {
  const own = new Own(join(await scratchDirectory(t), "cache.json"));
  const [one, two] = [new PersistenceCachePlugin(own), new PersistenceCachePlugin(own)];
  const [a, b] = [new Memory(), new Memory()];
  await change(one, a, (m) => m.signIn("ada"));
  await change(two, b, (m) => m.signIn("bob"));
  await change(one, a, (m) => m.signOut("bob"));
  await change(two, b, (m) => m.signIn("cleo"));
  assert.deepEqual(namesIn(own.content), ["ada", "cleo"]);
  assert.deepEqual(await list(one, a), ["ada", "cleo"]);
});

test("thirty changes at once, over three plugins, are all kept", async (t) => {
  const own = new Own(join(await scratchDirectory(t), "cache.json"));
  const plugins = [1, 2, 3].map(() => new PersistenceCachePlugin(own));
  const names = Array.from({ length: 30 }, (_, index) => `user${String(index).padStart(2, "0")}`);
  await Promise.all(
    names.map((name, index) => change(plugins[index % 3], new Memory(), (m) => m.signIn(name))),
  );
  assert.deepEqual(namesIn(own.content), names);
});

for (const count of [2, 3, 8]) {
  for (const stopped of [false, true]) {
    const clock = stopped ? "stands still" : "goes on";
    test(`${count} plugins that save within a millisecond keep every sign-in, while the clock ${clock}`, async (t) => {
      const path = join(await scratchDirectory(t), "cache.json");
      if (stopped) {
        t.mock.method(Date, "now", () => 1_700_000_000_000);
      }
      for (let round = 0; round < 40; round += 1) {
        const own = new Own(path);
        const clients = Array.from({ length: count }, () => ({
          plugin: new PersistenceCachePlugin(own),
          memory: new Memory(),
        }));
        // The first plugin writes again at the end and adds an account: a sign-out there would hide a lost one.
        const turns = [...clients, clients[0]];
        for (const [turn, client] of turns.entries()) {
          await change(client?.plugin, client?.memory, (m) => m.signIn(`user${turn}`));
        }
        assert.deepEqual(
          namesIn(own.content),
          turns.map((_, turn) => `user${turn}`),
        );
      }
    });
  }
}

test("a sign-out by another plugin within the same millisecond is not undone", async (t) => {
  t.mock.method(Date, "now", () => 1_700_000_000_000);
  const own = new Own(join(await scratchDirectory(t), "cache.json"));
  const [one, two] = [new PersistenceCachePlugin(own), new PersistenceCachePlugin(own)];
  const [a, b] = [new Memory(), new Memory()];
  await change(one, a, (m) => m.signIn("ada"));
  await change(two, b, (m) => m.signOut("ada"));
  await change(one, a, (m) => m.signIn("bob"));
  assert.deepEqual(namesIn(own.content), ["bob"]);
});

test("a save may take longer than the limit of a hold", async (t) => {
  const own = new Own(join(await scratchDirectory(t), "cache.json"));
  const plugin = new PersistenceCachePlugin(own);
  let saving = true;
  own.during = async () => {
    await new Promise((resolve) => setTimeout(resolve, 10_500));
    saving = false;
  };
  const slow = change(plugin, new Memory(), (m) => m.signIn("ada"));
  await new Promise((resolve) => setTimeout(resolve, 500));
  own.during = () => assert.equal(saving, false, "nobody else saves meanwhile");
  await Promise.all([slow, change(new PersistenceCachePlugin(own), new Memory(), (m) => m.signIn("bob"))]);
  assert.deepEqual(namesIn(own.content), ["ada", "bob"]);
});

test("an abandoned window is ended, and a late after reloads and merges", async (t) => {
  const own = new Own(join(await scratchDirectory(t), "cache.json"));
  const plugin = new PersistenceCachePlugin(own);
  const [late, other] = [new Memory(), new Memory()];
  await change(plugin, late, (m) => m.signIn("ada"));
  const context = contextOf(late, true);
  await plugin.beforeCacheAccess(context);
  await change(new PersistenceCachePlugin(own), other, (m) => {
    m.signOut("ada");
    m.signIn("bob");
  });
  late.signIn("cleo");
  await plugin.afterCacheAccess(context);
  assert.deepEqual(namesIn(own.content), ["bob", "cleo"]);
  assert.deepEqual(await list(plugin, late), ["bob", "cleo"]);
});

test("content that the client refuses stays, and the program gets an error without it", async (t) => {
  const own = new Own(join(await scratchDirectory(t), "cache.json"));
  own.content = '{"Account":';
  const plugin = new PersistenceCachePlugin(own);
  const memory = new Memory();
  await assert.rejects(
    change(plugin, memory, (m) => m.signIn("ada")),
    { errorCode: "DamagedError", code: "damaged" },
  );
  assert.equal(own.content, '{"Account":');
  await until("the lock is released", async () => !(await lockfileExists(own.path)));
});

for (const [what, make] of /** @type {[string, (path: string, calls: string[]) => any][]} */ ([
  [
    "a subclass",
    (path, calls) =>
      new (class extends /** @type {new (path: string) => any} */ (FilePersistence) {
        async save(/** @type {string} */ contents) {
          calls.push("save");
          await super.save(contents);
        }
        async load() {
          calls.push("load");
          return super.load();
        }
      })(path),
  ],
  [
    "a proxy",
    (path, calls) =>
      new Proxy(new FilePersistence(path), {
        get(target, name, receiver) {
          if (name === "save" || name === "load") {
            calls.push(name);
          }
          return Reflect.get(target, name, receiver);
        },
      }),
  ],
  [
    "methods replaced on the instance",
    (path, calls) => {
      const file = new FilePersistence(path);
      for (const name of ["save", "load"]) {
        const original = file[name].bind(file);
        file[name] = (/** @type {any[]} */ ...given) => {
          calls.push(name);
          return original(...given);
        };
      }
      return file;
    },
  ],
])) {
  test(`${what}: the methods are called, and their save does not wait for its own caller's lock`, async (t) => {
    const path = join(await scratchDirectory(t), "cache.json");
    await FilePersistence.create(path);
    /** @type {string[]} */
    const calls = [];
    const plugin = new PersistenceCachePlugin(make(path, calls));
    const memory = new Memory();
    const { naps } = await timed(async () => {
      await change(plugin, memory, (m) => m.signIn("ada"));
      await change(plugin, memory, (m) => m.signIn("bob"));
    });
    assert.ok(naps < 5_000, "no wait for a hold to expire");
    assert.deepEqual(await list(plugin, memory), ["ada", "bob"]);
    assert.deepEqual(namesIn(await readFile(path, "utf8")), ["ada", "bob"]);
    assert.ok(calls.includes("save") && calls.includes("load"));
  });
}

test("a replaced method is called from the next access on", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const file = await FilePersistence.create(path);
  const plugin = new PersistenceCachePlugin(file);
  const memory = new Memory();
  await change(plugin, memory, (m) => m.signIn("ada"));
  let saved = 0;
  const original = file.save;
  file.save = async (/** @type {string} */ contents) => {
    saved += 1;
    await original.call(file, contents);
  };
  await change(plugin, memory, (m) => m.signIn("bob"));
  assert.equal(saved, 1);
  delete file.save;
  await change(plugin, memory, (m) => m.signIn("cleo"));
  assert.equal(saved, 1);
  assert.deepEqual(namesIn(await readFile(path, "utf8")), ["ada", "bob", "cleo"]);
});

test("a direct save waits for the lock, and the client's later change is merged with it", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const file = await FilePersistence.create(path);
  const plugin = new PersistenceCachePlugin(file);
  const memory = new Memory();
  const direct = new Memory();
  direct.signIn("direct");
  const context = contextOf(memory, true);
  await plugin.beforeCacheAccess(context);
  let done = false;
  const saved = file.save(direct.serialize()).then(() => {
    done = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(done, false);
  memory.signIn("ada");
  await plugin.afterCacheAccess(context);
  await saved;
  assert.deepEqual(namesIn(await readFile(path, "utf8")), ["direct"]);
  assert.deepEqual(await list(plugin, memory), ["direct"]);
});

test("the clients of a plugin see a direct save and delete", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const file = await FilePersistence.create(path);
  const plugin = new PersistenceCachePlugin(file);
  const memory = new Memory();
  await change(plugin, memory, (m) => m.signIn("ada"));
  assert.equal(await file.delete(), true);
  assert.deepEqual(await list(plugin, memory), []);
  assert.equal(memory.entries[tokenKey("ada")], undefined);
  await writeFile(path, "");
  assert.equal(await file.load(), "");
});
