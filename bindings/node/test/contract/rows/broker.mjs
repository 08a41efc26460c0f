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

/**
 * What a program meets where the runtime is missing: at import, at construction, in the log, and in each method.
 */
const WITHOUT_RUNTIME = `
  const { createRequire } = await import("node:module");
  const said = { at: "import", logged: [], methods: [] };
  const told = ({ errorCode, code, message }) =>
    [errorCode ?? code, /msal-node-runtime/.test(message) || /no broker here/.test(message)].join(" ");
  try {
    const { NativeBrokerPlugin } = createRequire(import.meta.url)("${subject}");
    said.at = "construction";
    const plugin = new NativeBrokerPlugin();
    said.at = "never";
    said.isBrokerAvailable = plugin.isBrokerAvailable;
    const loggerOptions = { loggerCallback: (level, message) => said.logged.push([level, message]), logLevel: 1 };
    plugin.setLogger(loggerOptions);
    plugin.setLogger(loggerOptions);
    const request = { clientId: "c", authority: "https://login.example/common", correlationId: "1", scopes: ["s"] };
    for (const call of [
      () => plugin.getAccountById("id", "1"),
      () => plugin.getAllAccounts("c", "1"),
      () => plugin.acquireTokenSilent(request),
      () => plugin.acquireTokenInteractive(request),
      () => plugin.signOut({ clientId: "c", accountId: "id", correlationId: "1" }),
    ]) {
      said.methods.push(await call().then(() => "resolved", told));
    }
    said.printed = Object.keys(plugin);
  } catch (error) {
    said.error = told(error);
  }
  console.log(JSON.stringify(said));`;

change("broker", "a runtime that is not installed means isBrokerAvailable is false, and the reason is told", {
  async original(_, { dir }) {
    await copyPackage(dir);
    const said = JSON.parse(await play(dir, WITHOUT_RUNTIME));
    assert.equal(said.at, "import");
    assert.match(said.error, /^MODULE_NOT_FOUND/);
  },
  async ours(_, { dir }) {
    await copyPackage(dir);
    const said = JSON.parse(await play(dir, WITHOUT_RUNTIME));
    assert.equal(said.at, "never");
    assert.equal(said.isBrokerAvailable, false);
    assert.deepEqual(said.methods, new Array(5).fill("NotSupportedError true"));
    assert.equal(said.logged.length, 1, "the reason is logged once");
    assert.match(said.logged[0][1], /npm install @azure\/msal-node-runtime/);
    assert.deepEqual(said.printed, ["isBrokerAvailable", "logger"]);
  },
});

for (const [what, runtime] of [
  ["cannot be loaded", 'throw new Error("no broker here");'],
  ["could not start", RUNTIME_WITHOUT_BROKER],
]) {
  change("broker", `a runtime that ${what} rejects every method with its reason, which is logged once`, {
    async original(_, { dir }) {
      await copyPackage(dir, { runtime });
      const said = JSON.parse(await play(dir, WITHOUT_RUNTIME));
      assert.equal(said.logged.length, 0);
    },
    async ours(_, { dir }) {
      await copyPackage(dir, { runtime });
      const said = JSON.parse(await play(dir, WITHOUT_RUNTIME));
      assert.equal(said.at, "never");
      assert.equal(said.isBrokerAvailable, false);
      assert.ok(
        said.methods.length === 5 && said.methods.every((/** @type {string} */ one) => / true$/.test(one)),
      );
      assert.equal(said.logged.length, 1, "the reason is logged once");
      assert.match(said.logged[0][1], /no broker here/);
    },
  });
}
