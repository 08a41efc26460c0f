// @ts-check
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import vm from "node:vm";
import { Worker } from "node:worker_threads";
import * as msal from "@azure/msal-node";
import { required, subject } from "../../support/subject.mjs";
import { contextOf, entry, tokenCache, write } from "../plugin-bench.mjs";
import { improve, keep, rejection } from "../row.mjs";

const require = createRequire(import.meta.url);

/** The package anew, as a test runner that resets its modules gets it. @returns {any} */
function anew() {
  const place = require.resolve(subject);
  const cached = require.cache[place];
  delete require.cache[place];
  try {
    return required();
  } finally {
    require.cache[place] = cached;
  }
}

keep("copies", "a plugin of one copy works over a persistence of another", async (_, { ext, dir }) => {
  const other = anew();
  assert.notEqual(other.FilePersistence, ext.FilePersistence);
  const path = join(dir, "cache.json");
  const [theirs, ours] = [await other.FilePersistence.create(path), await ext.FilePersistence.create(path)];
  await write(new ext.PersistenceCachePlugin(theirs), entry("olga"));
  const cache = tokenCache();
  await new other.PersistenceCachePlugin(ours).beforeCacheAccess(contextOf(cache, false));
  assert.match(cache.content, /olga/);
});

keep("copies", "several threads use one cache", async (_, { ext, dir }) => {
  const path = join(dir, "cache.json");
  await ext.FilePersistence.create(path);
  const program = `
    const { parentPort } = require("node:worker_threads");
    const { FilePersistence, PersistenceCachePlugin } = require(${JSON.stringify(require.resolve(subject))});
    (async () => {
      const plugin = new PersistenceCachePlugin(await FilePersistence.create(${JSON.stringify(path)}));
      const tokenCache = { serialize: () => ${JSON.stringify(entry("olga"))}, deserialize: () => {} };
      await plugin.beforeCacheAccess({ tokenCache, cacheHasChanged: true });
      await plugin.afterCacheAccess({ tokenCache, cacheHasChanged: true });
      parentPort.postMessage("saved");
    })();`;
  for (let thread = 0; thread < 2; thread += 1) {
    const worker = new Worker(program, { eval: true });
    const said = new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    assert.equal(await said, "saved");
    await worker.terminate();
  }
  assert.match(await readFile(path, "utf8"), /olga/);
});

keep("queue", "a save that goes through a queue without context ends", async (_, { ext, dir }) => {
  const file = await ext.FilePersistence.create(join(dir, "cache.json"));
  /** @type {(() => void)[]} */
  const jobs = [];
  const loop = setInterval(() => jobs.shift()?.(), 5);
  const queued = (/** @type {() => Promise<unknown>} */ job) =>
    new Promise((resolve, reject) => jobs.push(() => void job().then(resolve, reject)));
  const store = {
    load: () => queued(() => file.load()),
    save: (/** @type {string} */ text) => queued(() => file.save(text)),
    delete: () => file.delete(),
    reloadNecessary: async () => true,
    getFilePath: () => file.getFilePath(),
    getLogger: () => file.getLogger(),
    verifyPersistence: async () => true,
    createForPersistenceValidation: async () => file,
  };
  try {
    await write(new ext.PersistenceCachePlugin(store), entry("olga"));
  } finally {
    clearInterval(loop);
  }
  assert.match(await readFile(join(dir, "cache.json"), "utf8"), /olga/);
});

keep("logger", "a callback that throws does not replace an error of the store", async (_, { ext, dir }) => {
  const loggerCallback = () => {
    throw new Error("the logger's");
  };
  const options = { loggerCallback, logLevel: msal.LogLevel.Trace };
  const persistence = await ext.FilePersistence.create(join(dir, "cache.json"), options).catch(
    () => undefined,
  );
  // The original lets it through here; what it does later is the same for both.
  const store = persistence ?? new ext.FilePersistence(join(dir, "cache.json"));
  const error = await rejection(store.saveBuffer(42));
  assert.match(String(error.message), /42|type|argument/i);
});

/** Ends the process unless every rejection is handled. @param {string} dir @param {string} body */
async function survives(dir, body) {
  const { output } = await import("../../support/processes.mjs");
  const program = `
    const { FilePersistence, PersistenceCachePlugin } = require(${JSON.stringify(require.resolve(subject))});
    const path = ${JSON.stringify(join(dir, "cache.json"))};
    (async () => {
      ${body}
      await new Promise((resolve) => setTimeout(resolve, 50));
      console.log("alive");
    })();`;
  return (await output(process.execPath, ["-e", program])).trim();
}

improve("logger", "an asynchronous callback that rejects does not end the process", {
  original: async (_, { dir }) => {
    const body =
      "await FilePersistence.create(path, { loggerCallback: async () => { throw new Error('mine'); } });";
    await assert.rejects(survives(dir, body), /mine/);
  },
  ours: async (_, { dir }) => {
    for (const callback of [
      "async () => { throw new Error('mine'); }",
      "() => { throw new Error('mine'); }",
      "() => ({ then() { throw new Error('mine'); } })",
      "() => ({ get then() { throw new Error('mine'); } })",
    ]) {
      const body = `await FilePersistence.create(path, { loggerCallback: ${callback}, logLevel: 4 });`;
      assert.equal(await survives(dir, body), "alive");
    }
  },
});

improve("listeners", "what a listener throws, however strange, does not end the process", {
  original: async () => {
    // It has no listeners.
  },
  ours: async (_, { dir }) => {
    for (const thrown of [
      "null",
      "undefined",
      "Symbol('mine')",
      "Object.create(null)",
      "({ get name() { throw 1; }, get message() { throw 2; }, get code() { throw 3; } })",
      "new Proxy({}, { get() { throw new Error('mine'); }, getPrototypeOf() { throw new Error('mine'); } })",
    ]) {
      const body = `
        const persistence = await FilePersistence.create(path);
        let told = 0;
        const onEvent = async () => { told += 1; throw ${thrown}; };
        const plugin = new PersistenceCachePlugin(persistence, undefined, { onEvent });
        require("fs").writeFileSync(path, '{"Account":');
        const tokenCache = { serialize: () => "{}", deserialize: (text) => void JSON.parse(text) };
        await plugin.beforeCacheAccess({ tokenCache, cacheHasChanged: false });
        persistence.load = () => { throw ${thrown}; };
        await plugin.beforeCacheAccess({ tokenCache, cacheHasChanged: false }).catch(() => {});
        if (told === 0) throw new Error("not told");`;
      assert.equal(await survives(dir, body), "alive", thrown);
    }
  },
});

keep("chdir", "a relative path stays the one it was", async (t, { ext, dir }) => {
  const before = process.cwd();
  t.after(() => process.chdir(before));
  process.chdir(dirname(dir));
  const given = join(basename(dir), "cache.json");
  const persistence = await ext.FilePersistence.create(given);
  const plugin = new ext.PersistenceCachePlugin(persistence);
  assert.equal(persistence.getFilePath(), given);
  process.chdir(dirname(dir));
  await write(plugin, entry("olga"));
  assert.match(await readFile(join(dir, "cache.json"), "utf8"), /olga/);
});

improve("chdir", "nor does a change of directory move a cache, its lock or its reloads", {
  original: async (t, { ext, dir }) => {
    const before = process.cwd();
    t.after(() => process.chdir(before));
    process.chdir(dirname(dir));
    const persistence = await ext.FilePersistence.create(join(basename(dir), "cache.json"));
    process.chdir("/");
    assert.equal((await rejection(persistence.load())).code ?? "ENOENT", "ENOENT");
  },
  ours: async (t, { ext, dir }) => {
    const before = process.cwd();
    t.after(() => process.chdir(before));
    process.chdir(dirname(dir));
    const given = join(basename(dir), "cache.json");
    const key = { type: "passphrase", passphrase: "of this test" };
    for (const make of [
      () => ext.FilePersistence.create(given),
      () => ext.EncryptedFilePersistence.create(`${given}.sealed`, key),
    ]) {
      process.chdir(dirname(dir));
      const persistence = await make();
      const replaced = await make();
      const { save } = replaced;
      replaced.save = (/** @type {string} */ text) => save.call(replaced, text);
      const [one, two] = [
        new ext.PersistenceCachePlugin(persistence),
        new ext.PersistenceCachePlugin(replaced),
      ];
      process.chdir("/");
      for (const [writer, reader, name] of [
        [one, two, "olga"],
        [two, one, "bob"],
      ]) {
        await write(writer, entry(name));
        const cache = tokenCache();
        await reader.beforeCacheAccess(contextOf(cache, false));
        assert.match(cache.content, new RegExp(name));
      }
      assert.match(persistence.getFilePath(), /^tk-/);
      assert.equal(await persistence.reloadNecessary(0), true);
    }
  },
});

keep(
  "file load",
  "a leading byte order mark is part of the text, and the client is not shown it",
  async (_, { ext, dir }) => {
    const persistence = await ext.FilePersistence.create(join(dir, "cache.json"));
    const text = `\uFEFF${entry("olga")}`;
    await persistence.save(text);
    assert.equal(await persistence.load(), text);
    await writeFile(join(dir, "cache.json"), `\uFEFF{"a":"ä"}`);
    assert.equal(await persistence.load(), '\uFEFF{"a":"ä"}');
  },
);

improve("content in errors", "no error shows what a client refused", {
  original: async () => {
    // It passes the parser's message on; that is the fault.
  },
  ours: async (_, { ext, dir }) => {
    const { inspect } = await import("node:util");
    const secret = "eyJhbGciOiSECRET";
    const damaged = [
      `{"RefreshToken":{"a":{"secret":${secret}"}}}`,
      `${secret}`,
      `{"Account":${secret}`,
      `["${secret}"]`,
    ];
    for (const [index, content] of damaged.entries()) {
      const path = join(dir, `cache-${index}.json`);
      /** @type {unknown[]} */
      const said = [];
      const loggerOptions = {
        loggerCallback: (/** @type {any[]} */ ...given) => said.push(given),
        logLevel: 4,
      };
      const make = async () => {
        await writeFile(path, content);
        return new ext.FilePersistence(path, loggerOptions);
      };
      const own = await make();
      const { load } = own;
      own.load = () => load.call(own);
      const tokenCache = {
        serialize: () => "{}",
        deserialize: (/** @type {string} */ text) => void JSON.parse(text),
      };
      for (const persistence of [own, await make()]) {
        for (const onDamage of ["setAside", "fail"]) {
          const options = { onDamage, onEvent: (/** @type {unknown} */ event) => said.push(event) };
          const plugin = new ext.PersistenceCachePlugin(persistence, undefined, options);
          for (const cacheHasChanged of [false, true]) {
            await writeFile(path, content);
            const context = { tokenCache, cacheHasChanged };
            await plugin.beforeCacheAccess(context).catch((/** @type {unknown} */ error) => said.push(error));
            await plugin.afterCacheAccess(context).catch((/** @type {unknown} */ error) => said.push(error));
          }
          await writeFile(path, content);
          const watcher = await plugin
            .watch(() => {})
            .catch((/** @type {unknown} */ error) => said.push(error));
          watcher?.close?.();
          await plugin.close();
        }
      }
      assert.ok(said.length > 0);
      for (const one of said) {
        assert.doesNotMatch(inspect(one, { depth: 9, showHidden: true }), /eyJh|SECRET/);
      }
      for (const error of said.filter((one) => one instanceof Error)) {
        assert.ok(ext.isPersistenceError(error), String(error));
      }
    }
  },
});

keep("copies", "a copy whose code runs in a context of its own works", async (_, { dir }) => {
  const place = require.resolve(subject);
  const context = vm.createContext({
    process,
    Buffer,
    setTimeout,
    clearTimeout,
    setImmediate,
    queueMicrotask,
    URL,
    console,
  });
  const code = await readFile(place, "utf8");
  const wrapped = `(function (exports, require, module, __filename, __dirname) {${code}\n})`;
  const module = { exports: /** @type {any} */ ({}) };
  const run = vm.runInContext(wrapped, context, { filename: place });
  run(module.exports, createRequire(place), module, place, dirname(place));
  const { FilePersistence, PersistenceCachePlugin } = module.exports;
  const persistence = await FilePersistence.create(join(dir, "cache.json"));
  await write(new PersistenceCachePlugin(persistence), entry("olga"));
  assert.match(await persistence.load(), /olga/);
});
