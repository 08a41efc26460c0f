// @ts-check
/**
 * Real programs of npm, with the original and, by override, with ours, side by side: whatever runs with the original runs with
 * ours, and says the same. Offline, against the sign-in service of `demo`.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { environment, INSTALL_MS, packedVersion } from "../packages/project.mjs";
import { SIGNS_IN, SILENTLY } from "../support/azure-programs.mjs";
import { end, output, run, track } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { startSession } from "../support/session.mjs";
import { ORIGINAL, OURS } from "../support/subject.mjs";

const SIGN_IN = fileURLToPath(new URL("../../../../demo/signin", import.meta.url));
const KEYTAR = fileURLToPath(new URL("../node_modules/keytar/build", import.meta.url));

/** Each major version of msal-node that programs still use. */
const MSAL = {
  "msal-1": "1.18.4",
  "msal-2": "2.16.3",
  "msal-3": "3.8.10",
  "msal-5": "5.6.0",
  "msal-6": "6.0.1",
  "msal-7": "7.2.1",
};

const DEPENDENCIES = {
  "@azure-devops/mcp": "2.10.0",
  "@microsoft/teams.cli": "3.0.3",
  "@azure/identity": "4.13.1",
  "@azure/identity-broker": "1.4.2",
  "@azure/identity-cache-persistence": "1.2.0",
  ...Object.fromEntries(
    Object.entries(MSAL).map(([name, version]) => [name, `npm:@azure/msal-node@${version}`]),
  ),
};

/** A folder with all programs. @typedef {"original" | "ours"} Side */
const SIDES = /** @type {const} */ (["original", "ours"]);

/** @type {Record<Side, string>} */
const folders = { original: "", ours: "" };
/** @type {(() => unknown)[]} */
const ends = [];

before(async () => {
  const scope = { after: (/** @type {() => unknown} */ one) => void ends.unshift(one) };
  const env = await environment(scope);
  const alias = `npm:${OURS}@^${packedVersion()}`;
  for (const side of SIDES) {
    const folder = await scratchDirectory(scope);
    folders[side] = folder;
    const manifest =
      side === "ours"
        ? {
            dependencies: { ...DEPENDENCIES, [ORIGINAL]: alias },
            overrides: { [ORIGINAL]: `$${ORIGINAL}`, keytar: alias },
          }
        : { dependencies: { ...DEPENDENCIES, [ORIGINAL]: "5.6.1" } };
    await writeFile(
      join(folder, "package.json"),
      JSON.stringify({ private: true, type: "module", ...manifest }),
    );
    await output("npm", ["install", "--legacy-peer-deps"], { cwd: folder, env, deadline: INSTALL_MS });
    await cp(fileURLToPath(new URL("matrix.mjs", import.meta.url)), join(folder, "matrix.mjs"));
    await cp(fileURLToPath(new URL("offline.mjs", import.meta.url)), join(folder, "offline.mjs"));
    if (side === "original") {
      // As its install script would have compiled it.
      await cp(KEYTAR, join(folder, "node_modules", "keytar", "build"), { recursive: true });
    }
  }
});

after(async () => {
  for (const one of ends) {
    await one();
  }
});

test("each program gets ours by override, and the original without", async () => {
  for (const side of SIDES) {
    const manifest = await readFile(join(folders[side], "node_modules", ORIGINAL, "package.json"), "utf8");
    assert.equal(JSON.parse(manifest).name, side === "ours" ? OURS : ORIGINAL);
    const { packages } = JSON.parse(await readFile(join(folders[side], "package-lock.json"), "utf8"));
    const copies = Object.keys(packages).filter((place) => place.endsWith(`node_modules/${ORIGINAL}`));
    if (side === "ours") {
      assert.equal(copies.length, 1, copies.join(", "));
    }
  }
});

/**
 * Runs a program of a side, offline.
 *
 * @param {Side} side
 * @param {string[]} words
 * @param {NodeJS.ProcessEnv} env
 */
async function play(side, words, env) {
  const preload = join(folders[side], "offline.mjs");
  return run(process.execPath, ["--import", preload, ...words], {
    cwd: folders[side],
    env: { ...env, SIGN_IN, NO_COLOR: "1", NO_UPDATE_NOTIFIER: "1", CI: "1" },
  });
}

/** The same for both, where neither paths nor device codes count. @param {string} text @param {string} home */
const plain = (text, home) =>
  text
    .replaceAll(home, "HOME")
    .replace(/the code \d+/, "the code")
    .trim();

for (const kind of /** @type {const} */ (["keyring", "none"])) {
  test(`@microsoft/teams.cli, session "${kind}": signs in, stays signed in, signs out`, async (t) => {
    /** @type {Record<Side, string[]>} */
    const said = { original: [], ours: [] };
    for (const side of SIDES) {
      const session = await startSession(t, kind);
      for (const words of ["login", "status", "status", "logout", "status"]) {
        const cli = join(folders[side], "node_modules/@microsoft/teams.cli/dist/index.js");
        const offline = words === "login" ? {} : { OFFLINE: "1" };
        const { code, stdout } = await play(side, [cli, ...words.split(" ")], { ...session.env, ...offline });
        said[side].push(`${words}: ${code}\n${plain(stdout, session.home)}`);
      }
    }
    assert.match(said.original[1] ?? "", /ada@contoso\.example/, "the comparison is worth something");
    assert.deepEqual(said.ours, said.original);
  });
}

/** The tools that an MCP server lists. @param {import("node:test").TestContext} t @param {Side} side */
async function toolsOf(t, side) {
  const session = await startSession(t, "none");
  const server = join(folders[side], "node_modules/@azure-devops/mcp/dist/index.js");
  const preload = join(folders[side], "offline.mjs");
  const child = track(
    spawn(process.execPath, ["--import", preload, server, "contoso"], {
      cwd: folders[side],
      env: { ...session.env, SIGN_IN },
      stdio: ["pipe", "pipe", "pipe"],
    }),
  );
  t.after(() => end(child));
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    complaint += text;
  });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  /** @param {object} message */
  const send = (message) => void child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  const answer = async () => {
    const { done, value } = await answers.next();
    assert.ok(!done, `the server ended: ${complaint}`);
    return JSON.parse(value);
  };
  const clientInfo = { name: "test", version: "1" };
  send({
    id: 1,
    method: "initialize",
    params: { protocolVersion: "2025-03-26", capabilities: {}, clientInfo },
  });
  await answer();
  send({ method: "notifications/initialized" });
  send({ id: 2, method: "tools/list" });
  const { result } = await answer();
  return result.tools.map((/** @type {{ name: string }} */ { name }) => name);
}

test("@azure-devops/mcp starts and lists its tools", async (t) => {
  const [original, ours] = [await toolsOf(t, "original"), await toolsOf(t, "ours")];
  assert.ok(original.length >= 10, `${original.length} tools`);
  assert.deepEqual(ours, original);
});

test("@azure/identity-broker is accepted by @azure/identity", async (t) => {
  const program = `
    import { useIdentityPlugin, InteractiveBrowserCredential } from "@azure/identity";
    import { nativeBrokerPlugin } from "@azure/identity-broker";
    useIdentityPlugin(nativeBrokerPlugin);
    const options = { clientId: "00000000-0000-4000-8000-00000000c11e", tenantId: "organizations", disableAutomaticAuthentication: true,
      brokerOptions: { enabled: true, parentWindowHandle: new Uint8Array(8) } };
    const outcome = async () => (await new InteractiveBrowserCredential(options).getToken("https://api.example/.default")).token;
    console.log(await outcome().then(() => "a token", ({ name }) => name));`;
  /** @type {string[]} */
  const said = [];
  for (const side of SIDES) {
    const session = await startSession(t, "none");
    await writeFile(join(folders[side], "broker.mjs"), program);
    const { code, stdout, stderr } = await play(side, ["broker.mjs"], { ...session.env, OFFLINE: "1" });
    assert.equal(code, 0, `${side}: ${stderr}`);
    said.push(stdout);
  }
  assert.equal(said[1], said[0]);
});

for (const [kind, unencrypted] of /** @type {const} */ ([
  ["keyring", false],
  ["none", true],
])) {
  test(`@azure/identity-cache-persistence, session "${kind}": the next process signs in silently`, async (t) => {
    for (const side of SIDES) {
      const session = await startSession(t, kind);
      const setting = { name: "demo", unencrypted, plugin: "@azure/identity-cache-persistence" };
      /** @param {string} program @param {object} more */
      const step = async (program, more) => {
        await writeFile(join(folders[side], "identity.mjs"), program);
        const env = { ...session.env, SETTING: JSON.stringify({ ...setting, ...more }) };
        return JSON.parse(await output(process.execPath, ["identity.mjs"], { cwd: folders[side], env }));
      };
      const { record, token } = await step(SIGNS_IN, {});
      assert.deepEqual(await step(SILENTLY, { record, offline: true }), { token }, side);
    }
  });
}

for (const [name, version] of Object.entries(MSAL)) {
  test(`msal-node ${version}: signs in, stays signed in, signs out`, async (t) => {
    for (const side of SIDES) {
      const session = await startSession(t, "keyring");
      const cachePath = join(session.home, "matrix", "cache.json");
      const said = [];
      for (const step of ["first", "second", "out", "last"]) {
        const words = ["matrix.mjs", name, step, cachePath];
        const { code, stdout, stderr } = await play(side, words, session.env);
        assert.equal(code, 0, `${side}, ${step}: ${stderr}`);
        said.push(JSON.parse(stdout));
      }
      const signedIn = { accounts: ["ada@contoso.example"], fromCache: true };
      assert.deepEqual(said, [signedIn, signedIn, signedIn, { accounts: [] }], side);
    }
  });
}
