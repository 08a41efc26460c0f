// @ts-check
import assert from "node:assert/strict";
import { subject } from "../../support/subject.mjs";
import { copyPackage, play } from "../installation.mjs";
import { change, keep } from "../row.mjs";

/** A runtime whose native part could not start, as on a system without a broker. */
const RUNTIME_WITHOUT_BROKER = `
exports.msalNodeRuntime = { StartupError: new Error("no broker here"), RegisterLogger() {} };
exports.ErrorStatus = {};
exports.LogLevel = {};
`;

keep("broker", "a runtime that could not start means isBrokerAvailable is false", async (_, { dir }) => {
  await copyPackage(dir, { runtime: RUNTIME_WITHOUT_BROKER });
  const program = `
    const { NativeBrokerPlugin } = await import("${subject}");
    const plugin = new NativeBrokerPlugin();
    plugin.setLogger({ loggerCallback() {} });
    console.log(plugin.isBrokerAvailable);`;
  assert.equal(await play(dir, program), "false");
});

/** What happens at import and at construction where the runtime is not installed. */
const WITHOUT_RUNTIME = `
  let at = "import";
  try {
    const { createRequire } = await import("node:module");
    const { NativeBrokerPlugin } = createRequire(import.meta.url)("${subject}");
    at = "construction";
    new NativeBrokerPlugin();
    at = "never";
  } catch (error) {
    console.log(at, error.errorCode ?? error.code, /npm install @azure\\/msal-node-runtime/.test(error.message));
  }`;

change("broker", "a runtime that is not installed is an error at construction, not at import", {
  async original(_, { dir }) {
    await copyPackage(dir);
    assert.equal(await play(dir, WITHOUT_RUNTIME), "import MODULE_NOT_FOUND false");
  },
  async ours(_, { dir }) {
    await copyPackage(dir);
    assert.equal(await play(dir, WITHOUT_RUNTIME), "construction NotSupportedError true");
  },
});
