// @ts-check
/** Threads and processes that end, wait or block while they hold or want the lock. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { lockfileExists } from "../contract/plugin-bench.mjs";
import { timed } from "../support/clock.mjs";
import { run, until } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";
import { change, contextOf, Memory } from "./memory.mjs";

const { FilePersistence, PersistenceCachePlugin } = await imported();
const SUPPORT = new URL("../support/subject.mjs", import.meta.url).href;
const MEMORY = new URL("./memory.mjs", import.meta.url).href;
const onWindows = process.platform === "win32";

/** Returns the start of a program that defines `plugin`, `memory` and `context`. @param {string} path */
const prelude = (path) => `
  const { imported } = await import(${JSON.stringify(SUPPORT)});
  const { Memory, contextOf, change, list } = await import(${JSON.stringify(MEMORY)});
  const { FilePersistence, PersistenceCachePlugin } = await imported();
  const persistence = await FilePersistence.create(${JSON.stringify(path)});
  const plugin = new PersistenceCachePlugin(persistence);
  const memory = new Memory();
  const context = contextOf(memory, true);
`;

/** @param {string} path @param {string} body */
const child = (path, body) => run(process.execPath, ["--input-type=module", "-e", prelude(path) + body]);

/** @param {string} path @param {string} body */
function worker(path, body) {
  const source = `import { parentPort } from "node:worker_threads";\n${prelude(path)}${body}`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
}

/** @param {string} path */
async function writesSoon(path) {
  const plugin = new PersistenceCachePlugin(new FilePersistence(path), { retryNumber: 30, retryDelay: 100 });
  const { naps } = await timed(() => change(plugin, new Memory(), (memory) => memory.signIn("next")));
  assert.ok(naps < 1_000, `${naps} naps`);
}

test("a program without further work ends by itself", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const { result, naps } = await timed(() =>
    child(path, `await change(plugin, memory, (m) => m.signIn("ada"));`),
  );
  assert.equal(result.code, 0, result.stderr);
  assert.ok(naps < 8_000, "it does not wait for idle threads or timers");
});

test("a pending answer keeps the program alive, also during a wait for the lock", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const plugin = new PersistenceCachePlugin(await FilePersistence.create(path));
  const context = contextOf(new Memory(), true);
  await plugin.beforeCacheAccess(context);
  const waiting = child(
    path,
    `await change(plugin, memory, (m) => m.signIn("ada")); console.log("written");`,
  );
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  await plugin.afterCacheAccess(context);
  const { code, stdout } = await waiting;
  assert.equal(code, 0);
  assert.match(stdout, /written/);
});

test("process.exit between before and after leaves no lock file behind", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const { code } = await child(path, "await plugin.beforeCacheAccess(context); process.exit(7);");
  assert.equal(code, 7);
  assert.equal(await lockfileExists(path), false);
  await writesSoon(path);
});

test("process.exit during a write ends soon and leaves whole content", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const { result, naps } = await timed(() =>
    child(
      path,
      `await plugin.beforeCacheAccess(context); memory.signIn("ada");
       plugin.afterCacheAccess(context); process.exit(7);`,
    ),
  );
  assert.equal(result.code, 7);
  assert.ok(naps < 8_000, `${naps} naps`);
  await writesSoon(path);
});

test("process.exit while others hold the lock does not hang", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const plugin = new PersistenceCachePlugin(await FilePersistence.create(path));
  const context = contextOf(new Memory(), true);
  await plugin.beforeCacheAccess(context);
  const { code } = await child(
    path,
    "plugin.beforeCacheAccess(context); setTimeout(() => process.exit(7), 300);",
  );
  assert.equal(code, 7);
  await plugin.afterCacheAccess(context);
});

test("a killed holder does not block the next process", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const { code, signal } = await child(
    path,
    `await plugin.beforeCacheAccess(context); process.kill(process.pid, "SIGKILL");`,
  );
  // Windows has no signals: a killed process ends with the code 1.
  assert.deepEqual(
    { code, signal },
    onWindows ? { code: 1, signal: null } : { code: null, signal: "SIGKILL" },
  );
  await writesSoon(path);
});

test("a hold ends after ten seconds even if the event loop of its owner is blocked", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const frozen = child(
    path,
    `await plugin.beforeCacheAccess(context); console.log("held");
     Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 14_000);
     memory.signIn("late"); await plugin.afterCacheAccess(context);
     console.log((await list(plugin, memory)).join());`,
  );
  await until("the other holds the lock", () => lockfileExists(path), { deadline: 20_000 });
  const plugin = new PersistenceCachePlugin(new FilePersistence(path));
  const { naps } = await timed(() => change(plugin, new Memory(), (memory) => memory.signIn("ada")));
  assert.ok(naps < 12_000, `${naps} naps`);
  const { code, stdout, stderr } = await frozen;
  assert.equal(code, 0, stderr);
  assert.match(stdout, /ada,late/);
});

test("a worker that ends while it holds the lock releases it", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const ending = worker(path, "await plugin.beforeCacheAccess(context);");
  await once(ending, "exit");
  assert.equal(await lockfileExists(path), false);
  await writesSoon(path);
});

test("a worker that is terminated while it holds or waits for the lock releases it", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const holder = worker(
    path,
    "await plugin.beforeCacheAccess(context); parentPort.postMessage(1); setInterval(() => {}, 1000);",
  );
  await once(holder, "message");
  const waiter = worker(path, "parentPort.postMessage(1); await plugin.beforeCacheAccess(context);");
  await once(waiter, "message");
  await new Promise((resolve) => setTimeout(resolve, 200));
  await waiter.terminate();
  await holder.terminate();
  await writesSoon(path);
  assert.equal(await lockfileExists(path), false);
});

test("workers and the main thread write to one cache at once without a loss", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const workers = ["a", "b", "c"].map((name) =>
    worker(
      path,
      `for (let i = 0; i < 20; i++) await change(plugin, memory, (m) => m.signIn("${name}" + i));`,
    ),
  );
  const plugin = new PersistenceCachePlugin(await FilePersistence.create(path));
  const memory = new Memory();
  for (let i = 0; i < 20; i++) {
    await change(plugin, memory, (m) => m.signIn(`main${i}`));
  }
  await Promise.all(workers.map((one) => once(one, "exit")));
  const seen = new Memory();
  await change(plugin, seen, () => {});
  assert.equal(seen.names().length, 80);
});

test("many idle and busy workers start and end without a crash of the process", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  for (let round = 0; round < 5; round++) {
    const some = [0, 1, 2, 3].map(() =>
      worker(path, `for (;;) await change(plugin, memory, (m) => m.signIn("x")).catch(() => {});`),
    );
    await new Promise((resolve) => setTimeout(resolve, 100 + 40 * round));
    await Promise.all(some.map((one) => one.terminate()));
  }
  await writesSoon(path);
});

test("waiting for the lock blocks neither the event loop nor Node's own workers", async (t) => {
  const directory = await scratchDirectory(t);
  const paths = Array.from({ length: 8 }, (_, index) => join(directory, `cache${index}.json`));
  const holders = await Promise.all(
    paths.map(async (path) => {
      const plugin = new PersistenceCachePlugin(await FilePersistence.create(path));
      const context = contextOf(new Memory(), true);
      await plugin.beforeCacheAccess(context);
      return { plugin, context };
    }),
  );
  const waiting = paths.map((path) => {
    const plugin = new PersistenceCachePlugin(new FilePersistence(path));
    return change(plugin, new Memory(), (memory) => memory.signIn("ada"));
  });
  const { naps } = await timed(async () => {
    for (let round = 0; round < 50; round += 1) {
      await stat(directory);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  // A hold ends after ten seconds: a status that waited for a writer would wait for that.
  assert.ok(naps < 5_000, `50 times fs.stat took ${naps} naps while eight writers waited`);
  await Promise.all(holders.map(({ plugin, context }) => plugin.afterCacheAccess(context)));
  await Promise.all(waiting);
});
