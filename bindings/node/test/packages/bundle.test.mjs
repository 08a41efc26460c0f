// @ts-check
/**
 * The packed package in esbuild's bundles, of both module kinds, and loaded many times. `cargo xtask test-packages`
 * has the other bundlers, runtimes and package managers.
 */
import assert from "node:assert/strict";
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";
import { output } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { OURS } from "../support/subject.mjs";
import { install, packedVersion } from "./project.mjs";

/** Prints whether the addon works; without it every call fails with `addon_missing`. */
const PROGRAM = `
  import { FilePersistence, LibSecretPersistence } from "tokenkeep";
  const use = async () => {
    const file = await FilePersistence.create("cache.json");
    await file.save("content");
    const keyring = await LibSecretPersistence.create("marker", "service", "account");
    return [await file.load(), await keyring.load().catch((error) => error.code)];
  };
  use().catch((error) => [error.code]).then((said) => console.log(said.join(" ")));`;

/** @type {(() => unknown)[]} */
const ends = [];
/** @type {string} */
let folder;

before(async () => {
  const scope = { after: (/** @type {() => unknown} */ end) => void ends.unshift(end) };
  ({ folder } = await install(scope, { dependencies: { [OURS]: `^${packedVersion()}` } }));
});

after(async () => {
  for (const end of ends) {
    await end();
  }
});

/** @param {import("node:test").TestContext} t @param {string} program @param {object} options */
async function bundled(t, program, options) {
  const elsewhere = await scratchDirectory(t);
  await writeFile(join(folder, "main.mjs"), program);
  /** @type {import("esbuild").BuildOptions} */
  const common = {
    bundle: true,
    platform: "node",
    outdir: elsewhere,
    logLevel: "silent",
    absWorkingDir: folder,
  };
  const { warnings } = await build({ entryPoints: ["main.mjs"], ...common, ...options });
  assert.deepEqual(warnings, []);
  return elsewhere;
}

/** @param {string} where @param {string} file */
async function run(where, file) {
  const env = { PATH: process.env.PATH, HOME: where, XDG_RUNTIME_DIR: where };
  return (await output(process.execPath, [file], { cwd: where, env })).trim();
}

for (const [format, extension] of [
  ["cjs", ".cjs"],
  ["esm", ".mjs"],
]) {
  const kind = { format, outExtension: { ".js": extension } };
  const file = `main${extension}`;

  test(`esbuild, ${format}: with tokenkeep/embed the bundle needs only its own files`, async (t) => {
    const embedding = `import "tokenkeep/embed";${PROGRAM}`;
    // An ES module has no require for the copied binary.
    const banner = format === "esm" && {
      banner: {
        js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
      },
    };
    const where = await bundled(t, embedding, { ...kind, ...banner, loader: { ".node": "copy" } });
    assert.equal(await run(where, file), "content store_unavailable");
  });

  test(`esbuild, ${format}: without it the addon is found in node_modules, or beside the bundle`, async (t) => {
    const where = await bundled(t, PROGRAM, kind);
    assert.equal(await run(where, file), "addon_missing", "nowhere to be found");
    await cp(join(folder, "node_modules"), join(where, "node_modules"), { recursive: true });
    assert.equal(await run(where, file), "content store_unavailable");
  });
}

test("a hundred threads, one after another, load the package, use it and end", async () => {
  const program = `
    const { parentPort } = require("node:worker_threads");
    const { FilePersistence } = require(${JSON.stringify(join(folder, "node_modules", OURS))});
    (async () => {
      const file = await FilePersistence.create(${JSON.stringify(join(folder, "threads", "cache.json"))});
      await file.save("content");
      parentPort.postMessage(await file.load());
    })();`;
  for (let round = 0; round < 100; round += 1) {
    const worker = new Worker(program, { eval: true });
    const said = new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    assert.equal(await said, "content");
    // Every second thread is terminated from outside, in the middle of its work.
    if (round % 2 === 0) {
      await worker.terminate();
    }
    await ended;
  }
});
