// @ts-check
/**
 * The packed package in the test runners and with the libraries that programs use: fake timers of all kinds, modules that are
 * reset, contexts and threads for each file, an alias beside the package, and queues inside a program's own persistence.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { install, packedVersion } from "../packages/project.mjs";
import { output } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";

const PACKAGES = {
  "async-mutex": "0.5.0",
  jest: "30.2.0",
  "p-queue": "9.0.1",
  sinon: "21.0.0",
  vitest: "3.2.4",
};

/** @type {import("../packages/project.mjs").Project} */
let project;
/** @type {(() => unknown)[]} */
const ends = [];

before(async () => {
  const scope = { after: (/** @type {() => unknown} */ end) => void ends.unshift(end) };
  const version = packedVersion();
  const own = { tokenkeep: version, "@azure/msal-node-extensions": `npm:tokenkeep@${version}` };
  project = await install(scope, { dependencies: { ...own, ...PACKAGES } });
  await mkdir(join(project.folder, "tests"));
  await writeFile(join(project.folder, "use.cjs"), USE);
});

after(async () => {
  for (const end of ends) {
    await end();
  }
});

/** What every program here does. Time limits are the runners' own: 5 seconds. */
const USE = `
  const assert = require("node:assert");
  const { mkdtempSync, readFileSync } = require("node:fs");
  const { join } = require("node:path");
  const { tmpdir } = require("node:os");
  const account = (name) => ({ home_account_id: name, environment: "login.windows.net", realm: "t", local_account_id: name, username: name });
  exports.folder = () => mkdtempSync(join(process.env.SCRATCH ?? tmpdir(), "run-"));
  /** Adds an account, as msal-node would. */
  exports.signIn = async (plugin, name) => {
    const entries = { Account: {}, AccessToken: {}, IdToken: {}, RefreshToken: {}, AppMetadata: {} };
    const tokenCache = {
      serialize: () => JSON.stringify(entries),
      deserialize: (text) => Object.assign(entries.Account, JSON.parse(text).Account),
    };
    const context = { tokenCache, cacheHasChanged: true };
    await plugin.beforeCacheAccess(context);
    entries.Account[name] = account(name);
    await plugin.afterCacheAccess(context);
    return Object.keys(entries.Account);
  };
  exports.names = (path) => Object.keys(JSON.parse(readFileSync(path, "utf8")).Account).sort();
  /** A persistence whose methods go through \`run\`. */
  exports.through = (inner, run) => ({
    load: () => run(() => inner.load()),
    save: (text) => run(() => inner.save(text)),
    delete: () => inner.delete(),
    reloadNecessary: async () => true,
    getFilePath: () => inner.getFilePath(),
    getLogger: () => inner.getLogger(),
    verifyPersistence: async () => true,
    createForPersistenceValidation: async () => inner,
  });
  exports.work = async ({ FilePersistence, PersistenceCachePlugin }, other) => {
    const path = join(exports.folder(), "cache.json");
    const lock = { retryNumber: 20, retryDelay: 100 };
    const one = new PersistenceCachePlugin(await FilePersistence.create(path), lock);
    const two = new (other ?? { PersistenceCachePlugin }).PersistenceCachePlugin(await FilePersistence.create(path), lock);
    await exports.signIn(one, "ada");
    await exports.signIn(two, "bob");
    assert.deepEqual(exports.names(path), ["ada", "bob"]);
  };`;

/** Runs a file of the project. @param {import("node:test").TestContext} t @param {string[]} words */
async function plays(t, ...words) {
  const SCRATCH = await scratchDirectory(t);
  const env = { PATH: process.env.PATH, HOME: SCRATCH, SCRATCH, CI: "1", NO_COLOR: "1" };
  await output(process.execPath, words, { cwd: project.folder, env });
}

/** A test file that works with jest and vitest. @param {string} runner @param {string} fake @param {string} reset */
const spec = (runner, fake, reset) => `
  ${runner}
  const { work } = require("../use.cjs");
  afterEach(() => { ${fake}.useRealTimers(); });
  test("fake timers", async () => {
    ${fake}.useFakeTimers();
    await work(require("tokenkeep"));
  });
  test("modules that are reset twelve times", async () => {
    const first = require("tokenkeep");
    for (let round = 0; round < 12; round += 1) {
      ${reset}
      await work(first, require("tokenkeep"));
    }
  });
  test("an alias beside the package, under fake timers", async () => {
    ${fake}.useFakeTimers();
    await work(require("tokenkeep"), require("@azure/msal-node-extensions"));
    await work(require("@azure/msal-node-extensions"), require("tokenkeep"));
  });`;

test("jest: fake timers, reset modules, an alias, two files in one process", async (t) => {
  for (const name of ["one", "two"]) {
    const text = spec("", "jest", "jest.resetModules();");
    await writeFile(join(project.folder, "tests", `${name}.jest.cjs`), text);
  }
  const config = {
    testMatch: ["**/tests/*.jest.cjs"],
    moduleFileExtensions: ["js", "cjs", "json", "node"],
    transform: {},
  };
  await writeFile(join(project.folder, "jest.config.json"), JSON.stringify(config));
  await plays(t, "node_modules/jest/bin/jest.js", "--config", "jest.config.json", "--runInBand");
});

for (const pool of ["threads", "forks", "vmThreads", "vmForks"]) {
  test(`vitest, ${pool}: fake timers, reset modules, an alias`, async (t) => {
    const head = `
      import { createRequire } from "node:module";
      import { afterEach, test, vi } from "vitest";
      import * as imported from "tokenkeep";
      const require = createRequire(import.meta.url);
      test("imported", async () => {
        vi.useFakeTimers();
        await require("../use.cjs").work(imported, require("tokenkeep"));
      });`;
    for (const name of ["one", "two"]) {
      const text = spec(head, "vi", 'vi.resetModules(); delete require.cache[require.resolve("tokenkeep")];');
      await writeFile(join(project.folder, "tests", `${name}.vitest.mjs`), text);
    }
    await writeFile(
      join(project.folder, "vitest.config.mjs"),
      `export default { test: { include: ["tests/*.vitest.mjs"], pool: "${pool}" } };`,
    );
    await plays(t, "node_modules/vitest/vitest.mjs", "run");
  });
}

test("sinon: fake timers, the clock in our hands", async (t) => {
  const program = `
    const sinon = require("sinon");
    const clock = sinon.useFakeTimers();
    require("./use.cjs").work(require("tokenkeep"), require("@azure/msal-node-extensions")).then(
      () => clock.restore(),
      (error) => { console.error(error); process.exit(1); });`;
  await writeFile(join(project.folder, "sinon.cjs"), program);
  await plays(t, "sinon.cjs");
});

test("node:test: mocked timers and a mocked clock", async (t) => {
  const program = `
    const { mock } = require("node:test");
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "setImmediate", "Date"] });
    require("./use.cjs").work(require("tokenkeep")).catch((error) => { console.error(error); process.exit(1); });`;
  await writeFile(join(project.folder, "mocked.cjs"), program);
  await plays(t, "mocked.cjs");
});

for (const [name, make] of [
  ["p-queue", 'new (await import("p-queue")).default({ concurrency: 1 })'],
  [
    "p-queue with an interval",
    'new (await import("p-queue")).default({ concurrency: 1, interval: 20, intervalCap: 1 })',
  ],
  [
    "async-mutex",
    '{ add: ((mutex) => (job) => mutex.runExclusive(job))(new (require("async-mutex").Mutex)()) }',
  ],
]) {
  test(`${name} inside a program's own persistence`, async (t) => {
    const program = `
      const { through, folder, signIn, names } = require("./use.cjs");
      const { FilePersistence, PersistenceCachePlugin } = require("tokenkeep");
      (async () => {
        const path = require("node:path").join(folder(), "cache.json");
        const inner = await FilePersistence.create(path);
        const queue = ${make};
        const store = through(inner, (job) => queue.add(job));
        const plugins = [1, 2].map(() => new PersistenceCachePlugin(store, { retryNumber: 20, retryDelay: 100 }));
        const people = Array.from({ length: 10 }, (_, index) => "user" + index);
        const others = setInterval(() => void queue.add(() => inner.load()), 60);
        await Promise.all(people.map((name, index) => signIn(plugins[index % 2], name)));
        clearInterval(others);
        require("node:assert").deepEqual(names(path), people);
      })().catch((error) => { console.error(error); process.exit(1); });`;
    await writeFile(join(project.folder, "queue.cjs"), program);
    await plays(t, "queue.cjs");
  });
}
