// @ts-check
/**
 * A panic in Rust never ends the host process. The tests inject one at every entry from JavaScript or a thread, in a
 * build of the addon made for this purpose.
 */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";
import { addonWith, BUILDING } from "../support/addon.mjs";
import { run } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";

const SUPPORT = new URL("../support/subject.mjs", import.meta.url).href;
const MEMORY = new URL("./memory.mjs", import.meta.url).href;

/** Every injection point, the code that reaches it, and the required outcome. @type {[place: string, body: string, outcome: RegExp][]} */
const PLACES = [
  ["Export", "await persistence.load();", /^rejected panic/],
  ["Export", "await change(plugin, memory, (m) => m.signIn('ada'));", /^rejected panic/],
  ["Work", "await persistence.load();", /^rejected panic/],
  ["Work", "await change(plugin, memory, (m) => m.signIn('ada'));", /^rejected panic/],
  ["Answer", "await persistence.load();", /^rejected panic/],
  ["Answer", "await change(plugin, memory, (m) => m.signIn('ada'));", /^rejected panic/],
  [
    "Event",
    `await writeFile(path, '{"Account":'); await new Promise((done) => setTimeout(done, 50));
     await change(plugin, memory, (m) => m.signIn('ada'));`,
    /^fulfilled/,
  ],
  [
    "Timer",
    `const held = contextOf(memory, true);
     await plugin.beforeCacheAccess(held);
     // Longer than a hold lasts.
     await new Promise((done) => setTimeout(done, 10_500));
     await plugin.afterCacheAccess(held);`,
    /^fulfilled/,
  ],
  [
    "Release",
    "const held = contextOf(memory, true); await plugin.beforeCacheAccess(held); held.cacheHasChanged = false; await plugin.afterCacheAccess(held);",
    /^fulfilled/,
  ],
];

/** @type {string} */
let addon;

before(async () => {
  addon = await addonWith("panic-test");
}, BUILDING);

/** @param {string} path @param {string} body */
async function child(path, body) {
  const program = `
    const { writeFile } = await import("node:fs/promises");
    const { imported } = await import(${JSON.stringify(SUPPORT)});
    const { Memory, contextOf, change, list } = await import(${JSON.stringify(MEMORY)});
    const { FilePersistence, PersistenceCachePlugin, PersistenceError } = await imported();
    const { panicAt, panicked } = process.getBuiltinModule("module").createRequire("/")(process.env.TOKENKEEP_NATIVE_PATH);
    const path = ${JSON.stringify(path)};
    const persistence = await FilePersistence.create(path);
    const plugin = new PersistenceCachePlugin(persistence);
    const memory = new Memory();
    ${body}`;
  return await run(process.execPath, ["--input-type=module", "-e", program], {
    env: { ...process.env, TOKENKEEP_NATIVE_PATH: addon },
    deadline: 30_000,
  });
}

for (const [place, body, outcome] of PLACES) {
  test(`a panic at ${place} is an error at most: ${body.slice(0, 40)}`, async (t) => {
    const path = join(await scratchDirectory(t), "cache.json");
    const { code, signal, stdout, stderr } = await child(
      path,
      `const work = async () => { ${body} };
       panicAt(${JSON.stringify(place)});
       const [{ status, reason }] = await Promise.allSettled([work()]);
       // A release runs on its own thread and may come a moment later.
       for (let look = 0; look < 500 && !panicked(); look += 1) await new Promise((next) => setTimeout(next, 10));
       if (!panicked()) throw new Error("the trap did not spring");
       if (reason && !(reason instanceof PersistenceError)) throw reason;
       console.log(status, reason?.code);
       await change(plugin, memory, (m) => m.signIn("next"));
       console.log((await list(plugin, memory)).includes("next"));`,
    );
    assert.equal(signal, null, stderr);
    assert.equal(code, 0, stderr);
    const [first, second] = stdout.split("\n");
    assert.match(first ?? "", outcome);
    assert.equal(second, "true");
  });
}

test("a panic at Close does not change the end of the process", async (t) => {
  const path = join(await scratchDirectory(t), "cache.json");
  const { code, signal, stderr } = await child(
    path,
    'await plugin.beforeCacheAccess(contextOf(memory, true)); panicAt("Close"); process.exit(7);',
  );
  assert.equal(signal, null, stderr);
  assert.equal(code, 7);
});

/** The entries of the guard: the guard itself, and functions that call it first. */
const GUARDED = /\b(guard|answer|quietly|release|self\.(work|operate|call))\(/;

/** Functions that cannot panic. */
const HARMLESS = ["version", "panic_at", "panicked"];

test("every function that JavaScript can call passes the guard", async () => {
  const sources = new URL("../../src/", import.meta.url);
  const exported = [];
  for (const file of await readdir(sources)) {
    const text = await readFile(new URL(file, sources), "utf8");
    // An exported function, up to its closing brace, which rustfmt puts below the function's first letter.
    for (const [, , body, name] of text.matchAll(
      /^( *)#\[napi[^\n]*\]\n(?: *(?:#\[|\/\/)[^\n]*\n)*( *pub(?:\(crate\))? fn (\w+)[\s\S]*?\n\1\})/gm,
    )) {
      exported.push(name);
      const safe = GUARDED.test(body?.slice(body.indexOf("{")) ?? "") || HARMLESS.includes(name ?? "");
      assert.ok(safe, `${file}: ${name} does not pass the guard`);
    }
  }
  assert.ok(exported.length > 15, `only ${exported} found: the exports look different now`);
});
