// @ts-check
/** A plugin that opens its store at the first access, the time limit of its lock, and the end of a plugin. */
import "../contract/isolate.mjs";
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";
import { change, contextOf, list, Memory, namesIn } from "./memory.mjs";

const { createCachePlugin, FilePersistence, MemoryPersistence, PersistenceCachePlugin, PersistenceCreator } =
  await imported();

/** Watching keeps no process alive, this one included. @param {import("node:test").TestContext} t */
function stayAlive(t) {
  const timer = setInterval(() => {}, 1_000);
  t.after(() => clearInterval(timer));
}

/** A configuration that ends in a plaintext file, as there is no keyring here. @param {string} folder */
const configuration = (folder) => ({
  cachePath: join(folder, "cache.json"),
  serviceName: "service",
  accountName: "account",
  usePlaintextFileOnLinux: true,
});

test("nothing is opened before the first access, and one store serves all accesses", async (t) => {
  const folder = await scratchDirectory(t);
  const opened = t.mock.method(PersistenceCreator, "createPersistence");
  const plugin = createCachePlugin(configuration(folder));
  assert.equal(opened.mock.callCount(), 0);
  assert.deepEqual(await readdir(folder), []);
  await Promise.all(
    ["ada", "bob", "cleo"].map((name) => change(plugin, new Memory(), (m) => m.signIn(name))),
  );
  assert.deepEqual(await list(plugin, new Memory()), ["ada", "bob", "cleo"]);
  assert.equal((await (await plugin.ready()).info()).backend.startsWith("plaintext"), true);
  assert.equal(opened.mock.callCount(), 1);
});

test("an access whose store cannot be opened rejects, its end writes nothing, and the next one tries again", async (t) => {
  const folder = await scratchDirectory(t);
  const place = configuration(folder).cachePath;
  await mkdir(place);
  const plugin = createCachePlugin(configuration(folder));
  const memory = new Memory();
  await assert.rejects(plugin.ready());
  await assert.rejects(
    change(plugin, memory, (m) => m.signIn("ada")),
    { name: "PersistenceError" },
  );
  await rmdir(place);
  await change(plugin, memory, (m) => m.signIn("ada"));
  assert.deepEqual(namesIn(await readFile(place, "utf8")), ["ada"]);
});

test("a configuration that lacks something rejects the first access, not the call", async () => {
  const plugin = createCachePlugin({});
  await assert.rejects(plugin.ready(), { errorCode: "PersistenceNotValidatedError" });
  await plugin.close();
});

test("timeout is the longest wait for the lock, before retryNumber and retryDelay", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const file = await FilePersistence.create(path);
  // A living process that is not this one.
  await writeFile(`${path}.lockfile`, String(process.ppid));
  for (const timeout of [0, 120]) {
    const plugin = new PersistenceCachePlugin(file, { timeout, retryNumber: 1_000, retryDelay: 1_000 });
    await assert.rejects(plugin.beforeCacheAccess(contextOf(new Memory(), true)), { code: "busy" });
  }
  for (const timeout of [-1, Number.NaN, "5", null]) {
    assert.throws(() => new PersistenceCachePlugin(file, /** @type {any} */ ({ timeout })), {
      code: "ERR_INVALID_ARG_TYPE",
    });
  }
});

test("changes can be iterated over; leaving the loop, a signal and close end it", async (t) => {
  stayAlive(t);
  const path = join(await scratchDirectory(t), "cache.json");
  const mine = new PersistenceCachePlugin(await FilePersistence.create(path));
  const theirs = new PersistenceCachePlugin(await FilePersistence.create(path));
  const memory = new Memory();
  const watcher = await mine.watch({ coalesce: 10 });
  await change(theirs, memory, (m) => m.signIn("ada"));
  for await (const { added } of watcher) {
    assert.deepEqual(
      added.map((/** @type {any} */ { username }) => username),
      ["ada"],
    );
    break;
  }
  assert.equal((await watcher[Symbol.asyncIterator]().next()).done, true, "the loop closed it");

  const controller = new AbortController();
  const aborted = await mine.watch({ coalesce: 10, signal: controller.signal });
  const next = aborted[Symbol.asyncIterator]().next();
  controller.abort();
  assert.equal((await next).done, true);
  await assert.rejects(mine.watch({ signal: AbortSignal.abort(new Error("mine")) }), /mine/);

  const last = await mine.watch({ coalesce: 10 });
  const waiting = last[Symbol.asyncIterator]().next();
  await mine.close();
  assert.equal((await waiting).done, true);
  (await mine.watch(() => {}))[Symbol.dispose]();
});

test("a plugin that is closed hears no more events, and its writes have ended", async (t) => {
  const folder = await scratchDirectory(t);
  const path = join(folder, "cache.json");
  const file = await FilePersistence.create(path);
  /** @type {string[]} */
  const heard = [];
  for (let count = 0; count < 20; count += 1) {
    const plugin = new PersistenceCachePlugin(file, undefined, {
      onEvent: (/** @type {any} */ { kind }) => heard.push(kind),
    });
    await plugin[Symbol.asyncDispose]();
  }
  await writeFile(path, '{"Account":');
  const memory = new Memory();
  const last = new PersistenceCachePlugin(file, undefined, {
    onEvent: (/** @type {any} */ { kind }) => heard.push(kind),
  });
  const context = contextOf(memory, true);
  await last.beforeCacheAccess(context);
  memory.signIn("ada");
  const writing = last.afterCacheAccess(context);
  await last.close();
  assert.deepEqual(namesIn(await readFile(path, "utf8")), ["ada"]);
  await writing;
  assert.equal(heard.length, 1);
});

test("a listener that is asynchronous and rejects ends neither the process nor the watching", async (t) => {
  stayAlive(t);
  const path = join(await scratchDirectory(t), "cache.json");
  /** @type {string[]} */
  const logged = [];
  const loggerOptions = {
    loggerCallback: (/** @type {number} */ _, /** @type {string} */ text) => logged.push(text),
  };
  const mine = new PersistenceCachePlugin(await FilePersistence.create(path, loggerOptions), undefined, {
    onEvent: async () => {
      throw new TypeError("event");
    },
  });
  const theirs = new PersistenceCachePlugin(await FilePersistence.create(path));
  let calls = 0;
  /** @type {(value?: unknown) => void} */
  let heard = () => {};
  const watcher = await mine.watch(
    async () => {
      calls += 1;
      heard();
      throw new TypeError("change");
    },
    { coalesce: 10 },
  );
  for (const name of ["ada", "bob"]) {
    const told = new Promise((resolve) => {
      heard = resolve;
    });
    await change(theirs, new Memory(), (m) => m.signIn(name));
    await told;
  }
  watcher.close();
  assert.equal(calls, 2);
  await until(
    "both failures are logged",
    () => logged.filter((text) => /A listener of changes failed: TypeError/.test(text)).length === 2,
  );
});

test("a program's logger that throws does not replace the error", async (t) => {
  const own = new MemoryPersistence();
  const throwing = new Proxy(
    {},
    {
      get: () => () => {
        throw new Error("the logger's");
      },
    },
  );
  t.mock.method(own, "getLogger", () => throwing);
  t.mock.method(own, "load", async () => {
    throw new TypeError("the store's");
  });
  const plugin = new PersistenceCachePlugin(own);
  await assert.rejects(plugin.beforeCacheAccess(contextOf(new Memory(), true)), /the store's/);
});
