// @ts-check
/**
 * The package as on macOS, over a stand-in for the Keychain with the rules of Apple's source: owners, lists of applications,
 * partitions, dialogues. Each program runs in a process of its own and shares the keychain's file with the others.
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";
import { addonWith, BUILDING } from "../support/addon.mjs";
import { run } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";

const MAC = new URL("./mac.mjs", import.meta.url).href;
const SUPPORT = new URL("../support/subject.mjs", import.meta.url).href;
const CLIENT = new URL("../plugin/memory.mjs", import.meta.url).href;

/** @type {string} */
let addon;

before(async () => {
  addon = await addonWith("stand-in-keychain");
}, BUILDING);

/** A user's Mac: one home, one keychain. */
class Mac {
  /** @param {string} home */
  constructor(home) {
    this.home = home;
    this.file = join(home, "keychain.json");
  }

  /** @param {import("node:test").TestContext} t */
  static async start(t) {
    return new Mac(await scratchDirectory(t));
  }

  /** The state of the keychain. @returns {Promise<any>} */
  async world() {
    return JSON.parse(await readFile(this.file, "utf8"));
  }

  /** Changes the state of the keychain. @param {object} change */
  async change(change) {
    const world = await this.world().catch(() => ({}));
    await writeFile(this.file, JSON.stringify({ ...world, ...change }));
  }

  /** The dialogues since the last time. @returns {Promise<string[]>} */
  async dialogues() {
    const { dialogues } = await this.world();
    await this.change({ dialogues: [] });
    return dialogues;
  }

  /**
   * Runs a program to its end and returns what it gave. It finds `tokenkeep`, `config` and `list` there.
   *
   * @param {string} program its name, as macOS knows it
   * @param {string} body
   * @param {NodeJS.ProcessEnv} [environment]
   */
  async run(program, body, environment = {}) {
    const source = `
      const { imported } = await import(${JSON.stringify(SUPPORT)});
      const { Memory, change, list } = await import(${JSON.stringify(CLIENT)});
      const tokenkeep = await imported();
      const { PersistenceCreator, PersistenceCachePlugin, KeychainPersistence } = tokenkeep;
      const config = { cachePath: ${JSON.stringify(join(this.home, "app", "cache.json"))}, serviceName: "app",
        accountName: "tokens", dataProtectionScope: "CurrentUser", usePlaintextFileOnLinux: false };
      const failure = (error) => ({ code: error.code, name: error.errorCode, message: String(error.message) });
      const given = await (async () => { ${body} })();
      console.log(JSON.stringify(given ?? null));`;
    const arguments_ = ["--import", MAC, "--input-type=module", "-e", source];
    const inherited = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.startsWith("SSH_")),
    );
    const { code, stdout, stderr } = await run(process.execPath, arguments_, {
      env: {
        ...inherited,
        HOME: this.home,
        TOKENKEEP_NATIVE_PATH: addon,
        TOKENKEEP_TEST_PACKAGE: "tokenkeep",
        TOKENKEEP_STAND_IN_KEYCHAIN: this.file,
        TOKENKEEP_STAND_IN_PROGRAM: program,
        ...environment,
      },
      deadline: 60_000,
    });
    assert.equal(code, 0, `${program}: ${stderr}`);
    return JSON.parse(stdout.trim().split("\n").at(-1) ?? "null");
  }
}

const OPEN = "const persistence = await PersistenceCreator.createPersistence(config);";
const OPEN_SILENTLY =
  "const persistence = await PersistenceCreator.createPersistence({ ...config, allowPrompt: false });";
const SIGN_IN = (/** @type {string} */ name) => `${OPEN}
  const plugin = new PersistenceCachePlugin(persistence);
  const memory = new Memory();
  await change(plugin, memory, (m) => m.signIn(${JSON.stringify(name)}));
  return { info: await persistence.info(), accounts: await list(plugin, memory) };`;
const READ = `
  const plugin = new PersistenceCachePlugin(persistence);
  return await list(plugin, new Memory());`;

test("createPersistence chooses the Keychain, and a program's own item never asks", async (t) => {
  const mac = await Mac.start(t);
  const { info, accounts } = await mac.run("node", SIGN_IN("ada"));
  assert.equal(info.backend, "keychain");
  assert.deepEqual(accounts, ["ada"]);
  assert.deepEqual(await mac.run("node", OPEN + READ), ["ada"]);
  const { items, dialogues } = await mac.world();
  assert.deepEqual(dialogues, []);
  assert.deepEqual(
    items.map((/** @type {any} */ item) => [item.service, item.account, item.owner]),
    [["app", "tokens", "node"]],
    "one item, in the shape of keytar, and no probe is left",
  );
});

test("another program's item: createPersistence asks nothing, the first load asks once", async (t) => {
  const mac = await Mac.start(t);
  await mac.run("code", SIGN_IN("ada"));
  await mac.run("node", `${OPEN} await persistence.verifyPersistence();`);
  assert.deepEqual(await mac.dialogues(), []);
  await mac.change({ answers: ["alwaysAllow"] });
  assert.deepEqual(await mac.run("node", `${OPEN} await persistence.load(); ${READ}`), ["ada"]);
  assert.deepEqual(await mac.dialogues(), ["node: read app/tokens"]);
});

test("without prompts, another program's item and a locked keychain are store_locked, and nothing is shown", async (t) => {
  const mac = await Mac.start(t);
  await mac.run("code", SIGN_IN("ada"));
  const load = `${OPEN_SILENTLY} return persistence.load().then(() => "loaded", failure);`;
  for (const environment of [{}, { SSH_CONNECTION: "1.2.3.4 5 6.7.8.9 22" }]) {
    const opening = environment.SSH_CONNECTION ? load.replace(OPEN_SILENTLY, OPEN) : load;
    const { code, name, message } = await mac.run("node", opening, environment);
    assert.deepEqual([code, name], ["store_locked", "KeychainError"], message);
    assert.doesNotMatch(message, /remove the item/);
    assert.match(message, /encrypted file/);
  }
  await mac.change({ locked: true });
  const opened = await mac.run(
    "code",
    `return (async () => { ${OPEN_SILENTLY} })().then(() => "opened", failure);`,
  );
  assert.equal(opened.code, "store_locked", opened.message);
  assert.deepEqual(await mac.dialogues(), []);
});

test("a locked keychain without an item is unlocked by one dialogue, as with the original", async (t) => {
  const mac = await Mac.start(t);
  await mac.change({ locked: true });
  assert.deepEqual((await mac.run("node", SIGN_IN("ada"))).accounts, ["ada"]);
  assert.deepEqual(await mac.dialogues(), ["node: unlock"]);
});

test("another program's item can be signed out of without a dialogue", async (t) => {
  for (const undeletable of [false, true]) {
    const mac = await Mac.start(t);
    await mac.run("code", SIGN_IN("ada"));
    await mac.change({ undeletable });
    assert.equal(await mac.run("node", `${OPEN_SILENTLY} return persistence.delete();`), true);
    const { items, dialogues } = await mac.world();
    assert.deepEqual(dialogues, []);
    assert.deepEqual(
      items.map((/** @type {any} */ item) => item.content),
      undeletable ? ["{}"] : [],
      "no token stays",
    );
  }
});

test("ten reads at the same time ask once", async (t) => {
  const mac = await Mac.start(t);
  await mac.run("code", SIGN_IN("ada"));
  await mac.change({ answers: ["alwaysAllow"] });
  const reads = "const all = await Promise.all(Array.from({ length: 10 }, () => persistence.load()));";
  assert.equal(
    await mac.run("node", `${OPEN} ${reads} return all.every((text) => text.includes("ada"));`),
    true,
  );
  assert.deepEqual(await mac.dialogues(), ["node: read app/tokens"]);
});

test("without a default keychain nothing is taken for signed out, and no reset is offered", async (t) => {
  const mac = await Mac.start(t);
  await mac.change({ exists: false });
  for (const open of [OPEN, OPEN_SILENTLY]) {
    const { code, message } = await mac.run(
      "node",
      `return (async () => { ${open} })().then(() => "opened", failure);`,
    );
    assert.equal(code, "store_unavailable", message);
  }
  const load = `const persistence = await KeychainPersistence.create(config.cachePath, "app", "tokens");
    return persistence.load().then(() => "loaded", failure);`;
  assert.equal((await mac.run("node", load)).code, "store_unavailable");
  assert.deepEqual(await mac.dialogues(), []);
});

test("programs that share a cache: a key in the Keychain is allowed once, an item after each write", async (t) => {
  const mac = await Mac.start(t);
  const shared = `
    const { EncryptedFilePersistence } = tokenkeep;
    const key = { type: "keystore", serviceName: "app", accountName: "key" };
    const persistence = await EncryptedFilePersistence.create(config.cachePath, key, { partition: "app/tokens" });
    const plugin = new PersistenceCachePlugin(persistence);
    const memory = new Memory();
    await list(plugin, memory);`;
  const signIn = (/** @type {string} */ name) =>
    `${shared} await change(plugin, memory, (m) => m.signIn(${JSON.stringify(name)}));`;
  await mac.run("node", signIn("ada"));
  await mac.change({ answers: ["alwaysAllow"] });
  for (const round of [1, 2]) {
    await mac.run("code", signIn(`code-${round}`));
    await mac.run("node", signIn(`node-${round}`));
  }
  const accounts = await mac.run("code", `${shared} return await list(plugin, memory);`);
  assert.deepEqual(accounts.toSorted(), ["ada", "code-1", "code-2", "node-1", "node-2"]);
  assert.deepEqual(await mac.dialogues(), ["code: read app/key"]);
});

test("an encrypted file written over ssh is imported when the Keychain is back", async (t) => {
  const mac = await Mac.start(t);
  await mac.run("node", SIGN_IN("ada"));
  await mac.change({ locked: true });
  const key = '{ type: "passphrase", passphrase: "of this test" }';
  const withFallback = (/** @type {string} */ source) =>
    source.replace("(config)", `({ ...config, fallback: [{ type: "encryptedFile", key: ${key} }] })`);
  const ssh = { SSH_CONNECTION: "1.2.3.4 5 6.7.8.9 22" };
  const away = await mac.run("node", withFallback(SIGN_IN("bob")), ssh);
  assert.equal(away.info.backend, "encryptedFile");
  await mac.change({ locked: false });
  const back = await mac.run("node", withFallback(OPEN) + READ);
  assert.deepEqual(back.toSorted(), ["ada", "bob"]);
});

test("a watcher keeps its watches while the directories are the same, in whatever spelling it was given the path", async (t) => {
  const mac = await Mac.start(t);
  const seen = await mac.run(
    "node",
    `
    const fs = await import("node:fs");
    const watched = [];
    const { watch } = fs.default;
    fs.default.watch = (path, ...rest) => { watched.push(path); return watch(path, ...rest); };
    process.getBuiltinModule("module").syncBuiltinESMExports();
    ${OPEN}
    const plugin = new PersistenceCachePlugin(persistence);
    const memory = new Memory();
    await change(plugin, memory, (m) => m.signIn("ada"));
    const told = [];
    const watching = await plugin.watch((change) => told.push(change));
    const other = new PersistenceCachePlugin(await PersistenceCreator.createPersistence(config));
    await change(other, new Memory(), (m) => m.signIn("bob"));
    for (let look = 0; look < 300 && told.length === 0; look += 1) await new Promise((next) => setTimeout(next, 10));
    await plugin.close?.();
    return { watched, told: told.length };`,
  );
  assert.ok(seen.told > 0);
  assert.ok(!seen.watched.includes(mac.home), "not the folder above, which on a Mac is the user's home");
});

test("tokenkeep/identity keeps its two caches in the Keychain, with one dialogue for each of another program's", async (t) => {
  const mac = await Mac.start(t);
  const identity = (/** @type {string} */ use) => `
    const { createCachePersistencePlugin } = await import("tokenkeep/identity");
    let provider;
    createCachePersistencePlugin({ directory: ${JSON.stringify(mac.home)} })({
      cachePluginControl: { setPersistence: (given) => { provider = given; } },
    });
    const names = ["msal.cache.nocae", "msal.cache.cae"];
    const plugins = await Promise.all(names.map((name) => provider({ enabled: true, name })));
    const answers = [];
    for (const plugin of plugins) { const memory = new Memory(); ${use} }
    return answers;`;
  await mac.run("code", identity('await change(plugin, memory, (m) => m.signIn("ada"));'));
  const { items, dialogues } = await mac.world();
  assert.equal(items.length, 2, "with and without CAE");
  assert.deepEqual(dialogues, []);
  await mac.change({ answers: ["alwaysAllow", "alwaysAllow"] });
  const read = await mac.run("node", identity("answers.push(await list(plugin, memory));"));
  assert.deepEqual(read, [["ada"], ["ada"]]);
  assert.equal((await mac.dialogues()).length, 2);
});
