// @ts-check
/**
 * The real Keychain of a Mac, in a keychain file made for the test. Nothing may ask: every call is silent, and each test
 * looks whether macOS showed a dialogue. `security`, Apple's command, is the other program.
 */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { output, run } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";

const PASSWORD = "of this test";
const SERVICE = "tokenkeep test ü 令牌";

/** @type {string} */
let directory;
/** @type {string} */
let keychain;
/** @type {string[]} */
let searched;
/** @type {string} */
let usual;

/** @param {string[]} words */
const security = (...words) => output("security", words);

/** The paths that `security` prints, each in quotes. @param {string} text */
const paths = (text) => [...text.matchAll(/"([^"]+)"/g)].map(([, path]) => path);

before(async () => {
  directory = await scratchDirectory({ after: (end) => after(end) });
  keychain = join(directory, "test.keychain-db");
  searched = paths(await security("list-keychains", "-d", "user"));
  [usual] = paths(await security("default-keychain", "-d", "user"));
  await security("create-keychain", "-p", PASSWORD, keychain);
  // Without a time after which it locks itself.
  await security("set-keychain-settings", keychain);
  await security("list-keychains", "-d", "user", "-s", keychain, ...searched);
  await security("default-keychain", "-d", "user", "-s", keychain);
});

after(async () => {
  await security("default-keychain", "-d", "user", "-s", usual);
  await security("list-keychains", "-d", "user", "-s", ...searched);
  await security("delete-keychain", keychain);
});

beforeEach(() => security("unlock-keychain", "-p", PASSWORD, keychain));

afterEach(async () => {
  const { stdout } = await run("pgrep", ["-l", "SecurityAgent"]);
  assert.equal(stdout.trim(), "", "macOS shows a dialogue");
});

/** @param {string} account @param {object} [options] */
async function persistence(account, options = { allowPrompt: false }) {
  const { KeychainPersistence } = await imported();
  return KeychainPersistence.create(join(directory, `${account}.json`), SERVICE, account, undefined, options);
}

/** @param {Promise<unknown>} call */
const code = (call) =>
  call.then(
    () => "done",
    (/** @type {any} */ error) => error.code,
  );

test("an own item holds what was saved, is verified, and is removed", async () => {
  const store = await persistence("own");
  assert.equal(await store.load(), null);
  for (const content of ["{}", "ä 令牌 \u{1f511}", "x".repeat(1_000_000)]) {
    await store.save(content);
    assert.equal(await store.load(), content);
  }
  assert.equal(await store.verifyPersistence(), true);
  assert.equal(await store.delete(), true);
  assert.equal(await store.load(), null);
});

test("an item of another program is store_locked, can be signed out of, and is ours after a write", async () => {
  const add = () =>
    security("add-generic-password", "-s", SERVICE, "-a", "foreign", "-w", "theirs", keychain);
  await add();
  const store = await persistence("foreign");
  assert.equal(await code(store.load()), "store_locked");
  assert.equal(await store.delete(), true);
  assert.equal(await store.load(), null);
  await add();
  await store.save("ours");
  assert.equal(await store.delete(), true);
});

test("a locked keychain is store_locked for every silent call", async () => {
  const store = await persistence("locked");
  await store.save("{}");
  await security("lock-keychain", keychain);
  const program = `
    const { KeychainPersistence } = require(process.env.TOKENKEEP_TEST_PACKAGE);
    (async () => {
      const store = await KeychainPersistence.create(process.argv[1], ${JSON.stringify(SERVICE)}, "locked", undefined,
        { allowPrompt: false });
      const code = (call) => call.then(() => "done", (error) => error.cause?.code ?? error.code);
      console.log([await code(store.load()), await code(store.save("[]")), await code(store.verifyPersistence())].join());
    })();`;
  // In a process of its own: this one has opened the keychain already.
  const said = await output(process.execPath, ["-e", program, join(directory, "locked.json")], {
    cwd: new URL("..", import.meta.url).pathname,
  });
  assert.equal(said.trim(), "store_locked,store_locked,store_locked");
});

test("without a default keychain nothing is taken for signed out", async (t) => {
  const home = await scratchDirectory(t);
  const program = `
    const { KeychainPersistence } = require(process.env.TOKENKEEP_TEST_PACKAGE);
    (async () => {
      const store = await KeychainPersistence.create(process.argv[1], "s", "a", undefined, { allowPrompt: false });
      console.log(await store.load().then((text) => String(text), (error) => error.code));
    })();`;
  const said = await output(process.execPath, ["-e", program, join(home, "cache.json")], {
    cwd: new URL("..", import.meta.url).pathname,
    env: { ...process.env, HOME: home },
  });
  assert.notEqual(home, homedir());
  assert.equal(said.trim(), "store_unavailable");
});

test("keytar's items are ours, and ours are keytar's", async () => {
  const keytar = createRequire(import.meta.url)("keytar");
  const store = await persistence("keytar");
  await keytar.setPassword(SERVICE, "keytar", "theirs ü");
  assert.equal(await store.load(), "theirs ü");
  await store.save("ours 令牌");
  assert.equal(await keytar.getPassword(SERVICE, "keytar"), "ours 令牌");
  assert.equal(await store.delete(), true);
  assert.equal(await keytar.getPassword(SERVICE, "keytar"), null);
});

test("a reader beside a writer never finds the item missing", async () => {
  const store = await persistence("busy");
  await store.save("first");
  const program = `
    const { KeychainPersistence } = require(process.env.TOKENKEEP_TEST_PACKAGE);
    (async () => {
      const store = await KeychainPersistence.create(process.argv[1], ${JSON.stringify(SERVICE)}, "busy", undefined,
        { allowPrompt: false });
      for (let round = 0; round < 300; round += 1) await store.save("round " + round);
    })();`;
  let writing = true;
  const writer = output(process.execPath, ["-e", program, join(directory, "busy.json")], {
    cwd: new URL("..", import.meta.url).pathname,
  }).finally(() => {
    writing = false;
  });
  let reads = 0;
  while (writing) {
    assert.notEqual(await store.load(), null);
    reads += 1;
  }
  await writer;
  assert.ok(reads > 0);
});
