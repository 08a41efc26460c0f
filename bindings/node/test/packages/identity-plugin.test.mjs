// @ts-check
/**
 * `tokenkeep/identity`, our plugin for the Azure SDK: real @azure/identity and, in the same project, the real
 * @azure/identity-cache-persistence with the real original, whose tokens our plugin imports.
 *
 * 4.13.1 is the last @azure/identity for Node 20.
 */
import assert from "node:assert/strict";
import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { FAILS, SIGNS_IN, SILENTLY } from "../support/azure-programs.mjs";
import { output } from "../support/processes.mjs";
import { lookup } from "../support/secrets.mjs";
import { startSession } from "../support/session.mjs";
import { OURS } from "../support/subject.mjs";
import { install, packedVersion } from "./project.mjs";

const SERVICE = "Microsoft.Developer.IdentityService";

/** @type {import("./project.mjs").Project} */
let project;
/** @type {(() => unknown)[]} */
const ends = [];
let programs = 0;

before(async () => {
  const scope = { after: (/** @type {() => unknown} */ end) => void ends.unshift(end) };
  project = await install(scope, {
    dependencies: {
      "@azure/identity": "4.13.1",
      "@azure/identity-cache-persistence": "1.2.0",
      [OURS]: `^${packedVersion()}`,
    },
  });
  // Installed without scripts. keytar's compiled addon is copied from these tests, which have the same version.
  const compiled = dirname(createRequire(import.meta.url).resolve("keytar/package.json"));
  await cp(join(compiled, "build"), join(project.folder, "node_modules", "keytar", "build"), {
    recursive: true,
  });
});

after(async () => {
  for (const end of ends) {
    await end();
  }
});

/**
 * Runs one of the programs in its own process.
 *
 * @param {import("../support/session.mjs").Session} session
 * @param {string} text
 * @param {{ name?: string, person?: string, record?: string, unencrypted?: boolean, offline?: boolean, cae?: boolean,
 *   plugin?: string, options?: object }} [setting]
 */
async function play(session, text, setting = {}) {
  programs += 1;
  const file = join(project.folder, `program-${programs}.mjs`);
  await writeFile(file, text);
  const env = { ...session.env, SETTING: JSON.stringify(setting) };
  return JSON.parse(await output(process.execPath, [file], { cwd: project.folder, env }));
}

/** @param {import("../support/session.mjs").Session} session */
const files = async (session) => (await readdir(join(session.home, ".IdentityService"))).sort();

/** @param {string | null} content @returns {string[]} */
const people = (content) =>
  Object.values(JSON.parse(content ?? "{}").Account ?? {}).map(({ username }) => username);

/** @param {string | null} content @returns {string[]} */
const accessTokens = (content) =>
  Object.values(JSON.parse(content ?? "{}").AccessToken ?? {}).map(({ secret }) => secret);

test("keyring: the next process signs in silently; each name and kind has its own file and item", async (t) => {
  const session = await startSession(t);
  const { record, token, cae } = await play(session, SIGNS_IN, { name: "demo", cae: true });
  assert.notEqual(cae, token, "two caches, so two tokens");
  const again = { name: "demo", record, offline: true };
  assert.deepEqual(await play(session, SILENTLY, again), { token });
  assert.deepEqual(await play(session, SILENTLY, { ...again, cae: true }), { token: cae });

  const folder = join(session.home, ".IdentityService");
  for (const [name, secret] of [
    ["demo.nocae", token],
    ["demo.cae", cae],
  ]) {
    assert.equal(await readFile(join(folder, name), "utf8"), "{}");
    assert.deepEqual(accessTokens(await lookup(session, SERVICE, name)), [secret]);
  }
  assert.equal(
    await lookup(session, SERVICE, "MSALCache"),
    null,
    "the item of the original is not ours to make",
  );
  assert.equal((await files(session)).includes("demo"), false);
});

test("two names do not mix, and the default is a third", async (t) => {
  const session = await startSession(t);
  const ada = await play(session, SIGNS_IN, { name: "one", person: "ada@example.com" });
  const bob = await play(session, SIGNS_IN, { name: "two", person: "bob@example.com" });
  const eve = await play(session, SIGNS_IN, { person: "eve@example.com" });
  assert.deepEqual(people(await lookup(session, SERVICE, "one.nocae")), ["ada@example.com"]);
  assert.deepEqual(people(await lookup(session, SERVICE, "two.nocae")), ["bob@example.com"]);
  assert.deepEqual(people(await lookup(session, SERVICE, "msal.cache.nocae")), ["eve@example.com"]);

  const silent = (/** @type {string | undefined} */ name, /** @type {string} */ record) =>
    play(session, SILENTLY, { name, record, offline: true });
  assert.deepEqual(await silent("one", ada.record), { token: ada.token });
  assert.deepEqual(await silent(undefined, eve.record), { token: eve.token });
  assert.deepEqual(await silent("two", ada.record), { error: "AuthenticationRequiredError" });
  assert.deepEqual(await silent("one", bob.record), { error: "AuthenticationRequiredError" });
});

test("no keyring, unencrypted storage allowed: files of mode 0600, found by the next process", async (t) => {
  const session = await startSession(t, "none");
  const setting = { name: "demo", unencrypted: true };
  const { record, token } = await play(session, SIGNS_IN, setting);
  assert.deepEqual(await play(session, SILENTLY, { ...setting, record, offline: true }), { token });
  const path = join(session.home, ".IdentityService", "demo.nocae");
  assert.deepEqual(accessTokens(await readFile(path, "utf8")), [token]);
});

test("no keyring, unencrypted storage refused: a typed error that says what to do, and no crash", async (t) => {
  const session = await startSession(t, "none");
  const errors = await play(session, FAILS, { name: "demo" });
  assert.equal(errors.length, 2);
  for (const { name, errorCode, code, message } of errors) {
    assert.deepEqual(
      { name, errorCode, code },
      {
        name: "PersistenceError",
        errorCode: "CachePersistenceError",
        code: "store_unavailable",
      },
    );
    assert.match(message, /"demo\.nocae".*unsafeAllowUnencryptedStorage/s);
  }
  assert.deepEqual(
    (await files(session)).filter((name) => !name.startsWith("demo.")),
    [],
    "nothing of a probe is left",
  );
});

test("no keyring, but a key of the operator: an encrypted file", async (t) => {
  const session = await startSession(t, "none");
  const key = join(session.home, "key");
  await writeFile(key, "k".repeat(43), { mode: 0o600 });
  const options = { fallback: [{ type: "encryptedFile", key: { type: "keyFile", path: key } }] };
  const { record, token } = await play(session, SIGNS_IN, { name: "demo", options });
  assert.deepEqual(await play(session, SILENTLY, { name: "demo", options, record, offline: true }), {
    token,
  });
  const path = join(session.home, ".IdentityService", "demo.nocae");
  assert.doesNotMatch(await readFile(path, "latin1"), /RefreshToken/);
});

for (const name of [undefined, "demo"]) {
  test(`an account of the original (${name ?? "no name"}) is signed in, by one import`, async (t) => {
    const session = await startSession(t);
    const original = { plugin: "@azure/identity-cache-persistence", name };
    const { record, token } = await play(session, SIGNS_IN, original);
    const before = await lookup(session, SERVICE, "MSALCache");
    assert.deepEqual(accessTokens(before), [token]);

    // The original's access tokens may be of either kind, so ours requests new ones: over the network, but without a
    // prompt.
    const ours = await play(session, SILENTLY, { name, record });
    assert.ok(ours.token && ours.token !== token, JSON.stringify(ours));
    const cae = await play(session, SILENTLY, { name, record, cae: true });
    assert.ok(cae.token && cae.token !== ours.token, JSON.stringify(cae));
    assert.equal(await lookup(session, SERVICE, "MSALCache"), before, "the original's item is as it was");

    // The copy that the original still has does not undo a sign-out here.
    const account = `${name ?? "msal.cache"}.nocae`;
    await output("secret-tool", ["clear", "service", SERVICE, "account", account], { env: session.env });
    assert.deepEqual(await play(session, SILENTLY, { name, record }), {
      error: "AuthenticationRequiredError",
    });
    const left = (await files(session)).filter((file) => file.startsWith(".taking-in"));
    assert.deepEqual(left, []);
  });

  test(`the same from the original's unencrypted file (${name ?? "no name"}), into the keyring`, async (t) => {
    const bare = await startSession(t, "none");
    const session = await startSession(t);
    const original = { plugin: "@azure/identity-cache-persistence", name, unencrypted: true };
    const { record } = await play(bare, SIGNS_IN, original);
    await cp(join(bare.home, ".IdentityService"), join(session.home, ".IdentityService"), {
      recursive: true,
    });
    const { token, error } = await play(session, SILENTLY, { name, record });
    assert.ok(token, error);
    assert.match((await lookup(session, SERVICE, `${name ?? "msal.cache"}.nocae`)) ?? "", /"RefreshToken"/);
  });
}

test("a cache name that leads out of the folder is refused", async (t) => {
  const session = await startSession(t, "none");
  const errors = await play(session, FAILS, { name: "../elsewhere", unencrypted: true });
  assert.deepEqual(
    errors.map((/** @type {{ errorCode: string }} */ one) => one.errorCode),
    ["ERR_INVALID_ARG_VALUE", "ERR_INVALID_ARG_VALUE"],
  );
});

test("the plugin fits the types of @azure/identity and is the same for both module kinds", async () => {
  const use = `
    import { useIdentityPlugin, type IdentityPlugin, DeviceCodeCredential } from "@azure/identity";
    import { cachePersistencePlugin, createCachePersistencePlugin } from "tokenkeep/identity";
    const plugin: IdentityPlugin = cachePersistencePlugin;
    useIdentityPlugin(plugin);
    useIdentityPlugin(createCachePersistencePlugin({ fallback: [{ type: "memory" }], onEvent: ({ message }) => message }));
    new DeviceCodeCredential({ tokenCachePersistenceOptions: { enabled: true, name: "demo" } });
    // @ts-expect-error there is no such fallback
    createCachePersistencePlugin({ fallback: [{ type: "nothing" }] });`;
  const compilerOptions = {
    strict: true,
    noEmit: true,
    target: "es2022",
    module: "node16",
    moduleResolution: "node16",
    // The Azure SDK's own types do not match any one version of its dependencies.
    skipLibCheck: true,
    types: [],
  };
  for (const kind of ["mts", "cts"]) {
    await writeFile(join(project.folder, `types.${kind}`), use);
  }
  const config = { compilerOptions, files: ["types.mts", "types.cts"] };
  await writeFile(join(project.folder, "tsconfig.json"), JSON.stringify(config));
  const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  await output(process.execPath, [tsc, "-p", project.folder]);

  const same = `
    const { createRequire } = await import("node:module");
    const esm = await import("tokenkeep/identity");
    const cjs = createRequire(${JSON.stringify(join(project.folder, "x.cjs"))})("tokenkeep/identity");
    console.log(esm.cachePersistencePlugin === cjs.cachePersistencePlugin, Object.keys(cjs).sort().join());`;
  assert.equal(await project.play(same), "true cachePersistencePlugin,createCachePersistencePlugin");
});
