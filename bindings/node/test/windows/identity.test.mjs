// @ts-check
/**
 * `tokenkeep/identity` with real @azure/identity on Windows, where every cache is a file that Windows encrypts.
 */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { FAILS, SIGNS_IN, SILENTLY } from "../support/azure-programs.mjs";
import { output } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";

const { DataProtectionScope, FilePersistenceWithDataProtection } = await imported();

/** The folder in which programs find the packages of these tests. */
const MODULES = fileURLToPath(new URL("../node_modules", import.meta.url));

/**
 * Creates a user's folder with caches, and a function that runs programs on them.
 *
 * @param {import("node:test").TestContext} t
 */
async function user(t) {
  const home = await scratchDirectory(t);
  const programs = await mkdtemp(join(MODULES, ".programs-"));
  t.after(() => rm(programs, { recursive: true, force: true }));
  const env = { ...process.env, LOCALAPPDATA: home };
  /** @param {string} text @param {object} [setting] */
  const play = async (text, setting = {}) => {
    const file = join(programs, "program.mjs");
    await writeFile(file, text);
    return JSON.parse(
      // Loading the SDK takes long where each file is looked for in many folders.
      await output(process.execPath, [file], {
        env: { ...env, SETTING: JSON.stringify(setting) },
        deadline: 180_000,
      }),
    );
  };
  const folder = join(home, ".IdentityService");
  const open = (/** @type {string} */ name) =>
    FilePersistenceWithDataProtection.create(join(folder, name), DataProtectionScope.CurrentUser);
  /** Returns the accounts of the tokens in a cache. @param {string} name @returns {Promise<string[]>} */
  const people = async (name) => {
    const content = JSON.parse((await (await open(name)).load()) || "{}");
    return Object.values(content.Account ?? {}).map(({ username }) => username);
  };
  return { folder, open, people, play };
}

test("the next process signs in silently; each name and kind has a file that Windows encrypted", async (t) => {
  const { folder, open, play } = await user(t);
  const { record, token, cae } = await play(SIGNS_IN, { name: "demo", cae: true });
  assert.notEqual(cae, token, "two caches, so two tokens");
  const again = { name: "demo", record, offline: true };
  assert.deepEqual(await play(SILENTLY, again), { token });
  assert.deepEqual(await play(SILENTLY, { ...again, cae: true }), { token: cae });
  for (const [name, secret] of [
    ["demo.nocae", token],
    ["demo.cae", cae],
  ]) {
    const stored = await readFile(join(folder, name));
    assert.deepEqual([...stored.subarray(0, 4)], [1, 0, 0, 0], "the blob itself, without a header");
    assert.equal(stored.includes("RefreshToken"), false);
    assert.ok((await (await open(name)).load()).includes(secret));
  }
  assert.equal((await readdir(folder)).includes("demo"), false);
});

test("two names do not mix, and storage that may be unencrypted is encrypted all the same", async (t) => {
  const { folder, people, play } = await user(t);
  const ada = await play(SIGNS_IN, { name: "one", person: "ada@example.com", unencrypted: true });
  await play(SIGNS_IN, { name: "two", person: "bob@example.com" });
  assert.deepEqual(await people("one.nocae"), ["ada@example.com"]);
  assert.deepEqual(await people("two.nocae"), ["bob@example.com"]);
  assert.equal((await readFile(join(folder, "one.nocae"))).includes("ada@"), false);
  assert.deepEqual(await play(SILENTLY, { name: "two", record: ada.record, offline: true }), {
    error: "AuthenticationRequiredError",
  });
});

test("content of the original's file is imported once, without its access tokens", async (t) => {
  const { folder, open, people, play } = await user(t);
  const { record } = await play(SIGNS_IN, { name: "made" });
  // The original keeps both kinds of tokens in one file with the cache's name, encrypted in the same way.
  const content = await (await open("made.nocae")).load();
  await (await open("demo")).save(content);
  const before = await readFile(join(folder, "demo"));
  const { token, error } = await play(SILENTLY, { name: "demo", record });
  assert.ok(token && !content.includes(token), error);
  assert.deepEqual(await people("demo.nocae"), await people("made.nocae"));
  assert.deepEqual(await readFile(join(folder, "demo")), before, "the original's file is as it was");
  await (await open("demo.nocae")).delete();
  assert.deepEqual(await play(SILENTLY, { name: "demo", record }), { error: "AuthenticationRequiredError" });
});

test("a file that cannot be decrypted is moved aside, and one that cannot be opened is a typed error", async (t) => {
  const { folder, people, play } = await user(t);
  await mkdir(join(folder, "closed.nocae"), { recursive: true });
  await writeFile(join(folder, "demo.nocae"), "no such blob");
  await play(SIGNS_IN, { name: "demo", person: "ada@example.com" });
  assert.deepEqual(await people("demo.nocae"), ["ada@example.com"]);
  const copy = (await readdir(folder)).find((name) => name.startsWith("demo.nocae.corrupt-"));
  assert.equal(await readFile(join(folder, copy ?? "no copy"), "utf8"), "no such blob");

  const errors = await play(FAILS, { name: "closed" });
  assert.deepEqual(
    errors.map((/** @type {{ name: string }} */ { name }) => name),
    ["PersistenceError", "PersistenceError"],
  );
});
