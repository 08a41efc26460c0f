// @ts-check
/** Persistences that reach ours by a way that loses the asynchronous context, or late, or twice at once. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { timed } from "../support/clock.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";
import { change, contextOf, list, Memory, namesIn } from "./memory.mjs";

const { FilePersistence, migrate, PersistenceCachePlugin, PersistenceCreator } = await imported();

/** Far shorter than the usual limit: a wait for oneself would end in an error. */
const LIMIT = { timeout: 5_000 };

/** Runs jobs one by one from a loop that was started before any of them: none runs in the context of its caller. */
class Worker {
  /** @type {(() => Promise<unknown>)[]} */
  jobs = [];
  signal = new EventEmitter();
  ended = this.drain();

  /** @template T @param {() => Promise<T>} job @returns {Promise<T>} */
  run(job) {
    return new Promise((resolve, reject) => {
      this.jobs.push(() => job().then(resolve, reject));
      this.signal.emit("job");
    });
  }

  async drain() {
    for (let idle = 0; idle < 1_000; idle += 1) {
      for (let job = this.jobs.shift(); job !== undefined; job = this.jobs.shift()) {
        await job();
      }
      await new Promise((resolve) => {
        this.signal.once("job", resolve);
      });
    }
  }
}

/**
 * A program's own persistence over one of ours.
 *
 * @param {any} inner
 * @param {object} methods
 */
function own(inner, methods) {
  return {
    load: () => inner.load(),
    save: (/** @type {string} */ content) => inner.save(content),
    delete: () => inner.delete(),
    reloadNecessary: (/** @type {number} */ since) => inner.reloadNecessary(since),
    getFilePath: () => inner.getFilePath(),
    getLogger: () => inner.getLogger(),
    verifyPersistence: async () => true,
    createForPersistenceValidation: async () => inner,
    ...methods,
  };
}

/** No keyring, whatever session runs the tests. @param {import("node:test").TestContext} t */
function withoutBus(t) {
  for (const name of ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"]) {
    const before = process.env[name];
    process.env[name] = "/nonexistent";
    t.after(() => {
      if (before === undefined) {
        delete process.env[name];
      } else {
        process.env[name] = before;
      }
    });
  }
}

/** @param {import("node:test").TestContext} t */
async function file(t) {
  return FilePersistence.create(join(await scratchDirectory(t), "cache.json"));
}

/** @param {any} plugin @param {any} inner */
async function signsInTwice(plugin, inner) {
  const { naps } = await timed(async () => {
    await change(plugin, new Memory(), (m) => m.signIn("ada"));
    await change(plugin, new Memory(), (m) => m.signIn("bob"));
  });
  assert.ok(naps < 3_000, `waited ${naps} ms`);
  assert.deepEqual(namesIn(await readFile(inner.getFilePath(), "utf8")), ["ada", "bob"]);
  assert.deepEqual(await list(plugin, new Memory()), ["ada", "bob"]);
}

test("a save that goes through a queue does not wait for itself", async (t) => {
  const inner = await file(t);
  const worker = new Worker();
  const save = (/** @type {string} */ content) => worker.run(() => inner.save(content));
  await signsInTwice(new PersistenceCachePlugin(own(inner, { save }), LIMIT), inner);
});

test("nor does one whose load goes through the queue as well", async (t) => {
  const inner = await file(t);
  const worker = new Worker();
  const save = (/** @type {string} */ content) => worker.run(() => inner.save(content));
  const load = () => worker.run(() => inner.load());
  await signsInTwice(new PersistenceCachePlugin(own(inner, { save, load }), LIMIT), inner);
});

test("nor does one that changes the content on its way", async (t) => {
  const inner = await file(t);
  const worker = new Worker();
  const save = (/** @type {string} */ content) =>
    worker.run(() => inner.save(Buffer.from(content).toString("base64")));
  const load = async () => Buffer.from(await inner.load(), "base64").toString();
  const plugin = new PersistenceCachePlugin(own(inner, { save, load }), LIMIT);
  const { naps } = await timed(() => change(plugin, new Memory(), (m) => m.signIn("ada")));
  assert.ok(naps < 3_000, `waited ${naps} ms`);
  assert.deepEqual(await list(plugin, new Memory()), ["ada"]);
});

test("nor does a delete and a save through the queue", async (t) => {
  const inner = await file(t);
  const worker = new Worker();
  const save = (/** @type {string} */ content) =>
    worker.run(async () => {
      await inner.delete();
      await inner.save(content);
    });
  await signsInTwice(new PersistenceCachePlugin(own(inner, { save }), LIMIT), inner);
});

test("a save that does not wait for ours leaves no lock behind", async (t) => {
  const inner = await file(t);
  const save = async (/** @type {string} */ content) => void inner.save(content);
  const plugin = new PersistenceCachePlugin(own(inner, { save }), LIMIT);
  await change(plugin, new Memory(), (m) => m.signIn("ada"));
  const direct = new PersistenceCachePlugin(inner, LIMIT);
  const { naps } = await timed(() => change(direct, new Memory(), (m) => m.signIn("bob")));
  assert.ok(naps < 3_000, `waited ${naps} ms`);
  assert.deepEqual(namesIn(await readFile(inner.getFilePath(), "utf8")), ["ada", "bob"]);
});

test("a save that writes after its own end takes a lock of its own", async (t) => {
  const inner = await file(t);
  /** @type {Promise<unknown>} */
  let late = Promise.resolve();
  const save = async (/** @type {string} */ content) => {
    late = new Promise((resolve) => setTimeout(resolve, 100)).then(() => inner.save(content));
  };
  const plugin = new PersistenceCachePlugin(own(inner, { save }), LIMIT);
  await change(plugin, new Memory(), (m) => m.signIn("ada"));
  await late;
  assert.deepEqual(namesIn(await readFile(inner.getFilePath(), "utf8")), ["ada"]);
});

test("a save that writes and reads at once does both", async (t) => {
  const inner = await file(t);
  const save = async (/** @type {string} */ content) => {
    await Promise.all([inner.save(content), inner.load(), inner.save(content), inner.loadBuffer()]);
  };
  await signsInTwice(new PersistenceCachePlugin(own(inner, { save }), LIMIT), inner);
});

test("a plugin within another plugin's access fails at once, and says so", async (t) => {
  const inner = await file(t);
  const [outer, second] = [
    new PersistenceCachePlugin(inner, LIMIT),
    new PersistenceCachePlugin(inner, LIMIT),
  ];
  const context = contextOf(new Memory(), true);
  await outer.beforeCacheAccess(context);
  const { naps } = await timed(() =>
    assert.rejects(second.beforeCacheAccess(context), {
      errorCode: "CrossPlatformLockError",
      errorMessage: /waits for itself/,
    }),
  );
  assert.ok(naps < 1_000, `waited ${naps} ms`);
  await second.afterCacheAccess(context);
  await outer.afterCacheAccess(context);
});

test("a plugin within another plugin's save fails at once, and says so", async (t) => {
  const inner = await file(t);
  const plugin = new PersistenceCachePlugin(inner, LIMIT);
  const save = () => change(plugin, new Memory(), (m) => m.signIn("ada"));
  const outer = new PersistenceCachePlugin(own(inner, { save }), LIMIT);
  const { naps } = await timed(() =>
    assert.rejects(
      change(outer, new Memory(), (m) => m.signIn("bob")),
      { errorCode: "CrossPlatformLockError", errorMessage: /waits for itself/ },
    ),
  );
  assert.ok(naps < 1_000, `waited ${naps} ms`);
});

for (const [what, work] of /** @type {[string, (inner: any, path: string) => Promise<unknown>][]} */ ([
  ["a migration", async (inner, path) => migrate(inner, await FilePersistence.create(`${path}.other`))],
  [
    "an opening that imports",
    (_, cachePath) =>
      PersistenceCreator.createPersistence({
        cachePath,
        serviceName: "service",
        accountName: "account",
        fallback: [{ type: "encryptedFile", key: { type: "passphrase", passphrase: "of this test" } }],
      }),
  ],
])) {
  test(`${what} within a save of the same cache fails at once, and says so`, async (t) => {
    withoutBus(t);
    const inner = await file(t);
    await inner.save('{"Account":{}}');
    const save = () => work(inner, inner.getFilePath());
    const plugin = new PersistenceCachePlugin(own(inner, { save }), LIMIT);
    const { naps } = await timed(() =>
      assert.rejects(
        change(plugin, new Memory(), (m) => m.signIn("ada")),
        { errorCode: "CrossPlatformLockError", errorMessage: /waits for itself/ },
      ),
    );
    assert.ok(naps < 3_000, `waited ${naps} ms`);
  });
}

test("a save of another part of the program waits until the plugin's own has ended", async (t) => {
  const inner = await file(t);
  /** @type {Promise<unknown> | undefined} */
  let foreign;
  let saved = false;
  let tooEarly = false;
  const direct = new Memory();
  direct.signIn("direct");
  const save = async (/** @type {string} */ content) => {
    await inner.save(content);
    await new Promise((resolve) => setTimeout(resolve, 600));
    tooEarly = saved;
  };
  const plugin = new PersistenceCachePlugin(own(inner, { save }), LIMIT);
  setTimeout(() => {
    foreign = inner.save(direct.serialize()).then(() => {
      saved = true;
    });
  }, 100);
  await change(plugin, new Memory(), (m) => m.signIn("ada"));
  await foreign;
  assert.equal(tooEarly, false);
  assert.deepEqual(namesIn(await readFile(inner.getFilePath(), "utf8")), ["direct"]);
});
