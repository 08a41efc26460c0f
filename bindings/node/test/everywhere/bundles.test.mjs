// @ts-check
/**
 * Bundled programs, run without a `node_modules` in any parent folder: they have only the files in the bundle or
 * beside it.
 */
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { install } from "../packages/project.mjs";
import { output } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { DEPENDENCIES, signsInAndStays, writeExample } from "./example.mjs";
import { tool } from "./runtimes.mjs";

/** @type {(() => unknown)[]} */
const ends = [];
/** @type {string} */
let folder;

before(async () => {
  const scope = { after: (/** @type {() => unknown} */ end) => void ends.unshift(end) };
  ({ folder } = await install(scope, { dependencies: DEPENDENCIES, type: "module" }));
  await writeExample(folder, { embed: true });
});

after(async () => {
  for (const end of ends) {
    await end();
  }
});

test("bun build --compile makes an executable that needs no other file", async (t) => {
  const elsewhere = await scratchDirectory(t);
  const executable = join(elsewhere, "program");
  const bun = await tool("Bun");
  const env = { ...process.env, HOME: elsewhere };
  await output(bun, ["build", "--compile", "main.mjs", "--outfile", executable], { cwd: folder, env });
  await signsInAndStays(t, [executable], elsewhere);
});

test("webpack with node-loader makes a bundle that needs only its own files", async (t) => {
  const elsewhere = await scratchDirectory(t);
  const webpack = await tool("webpack");
  const loader = join(webpack, "..", "..", "..", "node-loader");
  const config = {
    mode: "production",
    target: "node",
    entry: "./main.mjs",
    output: { path: elsewhere, filename: "bundle.cjs" },
    module: { rules: [{ test: "\\.node$", loader }] },
  };
  const text = JSON.stringify(config).replace('"\\\\.node$"', "/\\.node$/");
  await writeFile(join(folder, "webpack.config.cjs"), `module.exports = ${text};`);
  await output(process.execPath, [webpack], { cwd: folder, env: process.env });
  await signsInAndStays(t, [process.execPath, "bundle.cjs"], elsewhere);
});

test("webpack without a loader: the addon is found in node_modules", async (t) => {
  const elsewhere = await scratchDirectory(t);
  await cp(join(folder, "node_modules"), join(elsewhere, "node_modules"), { recursive: true });
  const webpack = await tool("webpack");
  const config = {
    mode: "production",
    target: "node",
    entry: "./program.mjs",
    output: { path: elsewhere, filename: "bundle.cjs" },
  };
  await writeFile(join(folder, "webpack.config.cjs"), `module.exports = ${JSON.stringify(config)};`);
  await output(process.execPath, [webpack], { cwd: folder, env: process.env });
  await signsInAndStays(t, [process.execPath, "bundle.cjs"], elsewhere);
});
