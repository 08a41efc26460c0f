// @ts-check
/** The packed package, installed by other package managers from the same registry, without install scripts. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { environment, INSTALL_MS } from "../packages/project.mjs";
import { output } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { DEPENDENCIES, signsInAndStays, writeExample } from "./example.mjs";
import { tool } from "./runtimes.mjs";

/** The settings of each, in addition to npm's own variables. @param {string} registry @param {string} home */
const SETTINGS = (registry, home) => ({
  HOME: home,
  // Yarn 4 reads no variables of npm.
  YARN_NPM_REGISTRY_SERVER: registry,
  YARN_UNSAFE_HTTP_WHITELIST: "127.0.0.1",
  YARN_ENABLE_SCRIPTS: "false",
  YARN_ENABLE_IMMUTABLE_INSTALLS: "false",
  YARN_ENABLE_TELEMETRY: "0",
});

for (const { name, words, settings, run } of /** @type {const} */ ([
  { name: "pnpm", words: ["install", "--ignore-scripts"], settings: {}, run: ["node", "main.mjs"] },
  { name: "Yarn 1", words: ["install", "--ignore-scripts"], settings: {}, run: ["node", "main.mjs"] },
  {
    name: "Yarn 4",
    words: ["install"],
    settings: { YARN_NODE_LINKER: "node-modules" },
    run: ["node", "main.mjs"],
  },
  {
    name: "Yarn 4",
    words: ["install"],
    settings: { YARN_NODE_LINKER: "pnp" },
    run: ["node", "--require", "./.pnp.cjs", "--experimental-loader", "./.pnp.loader.mjs", "main.mjs"],
  },
])) {
  test(`${name} ${JSON.stringify(settings)} installs it, and the example runs`, async (t) => {
    const folder = await scratchDirectory(t);
    const manifest = { name: "project", private: true, dependencies: DEPENDENCIES, type: "module" };
    await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
    await writeFile(join(folder, "yarn.lock"), "");
    const env = await environment(t);
    const home = await scratchDirectory(t);
    const all = { ...env, ...SETTINGS(env.npm_config_registry ?? "", home), ...settings };
    const program = await tool(name);
    await output(process.execPath, [program, ...words], { cwd: folder, env: all, deadline: INSTALL_MS });
    await writeExample(folder);
    await signsInAndStays(t, [process.execPath, ...run.slice(1)], folder);
  });
}
