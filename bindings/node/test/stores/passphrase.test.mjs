// @ts-check
/** A program that asks for its passphrase: when, how often, for how long, and never under the lock. */
import assert from "node:assert/strict";
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";
import { rejection } from "../contract/row.mjs";
import { change, list, Memory, namesIn } from "../plugin/memory.mjs";
import { timed } from "../support/clock.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";
import { PASSPHRASE } from "./keys.mjs";

const { EncryptedFilePersistence, FilePersistence, PersistenceCachePlugin, PersistenceError } =
  await imported();

/** @param {import("node:test").TestContext} t */
const place = async (t) => join(await scratchDirectory(t), "cache.bin");

/** Creates a persistence that asks. @param {string} path @param {() => unknown} ask @param {object} [options] */
const asking = (path, ask, options) =>
  EncryptedFilePersistence.create(path, { type: "passphrase", passphrase: ask }, undefined, options);

for (const [how, answer] of /** @type {const} */ ([
  ["a function", () => PASSPHRASE],
  ["an asynchronous function", async () => PASSPHRASE],
])) {
  test(`${how} is called once per file and process for all concurrent accesses`, async (t) => {
    const path = await place(t);
    let asked = 0;
    const ask = async () => {
      asked += 1;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return answer();
    };
    const persistence = await asking(path, ask);
    assert.equal(asked, 0);
    await persistence.verifyPersistence();
    await persistence.save("{}");
    assert.equal(await persistence.load(), "{}");
    assert.equal(asked, 1);
    const again = await asking(path, ask);
    const loaded = await Promise.all([again.load(), again.load(), again.verifyPersistence(), again.load()]);
    assert.deepEqual(loaded, ["{}", "{}", true, "{}"]);
    assert.equal(asked, 2);
    const same = await EncryptedFilePersistence.create(path, { type: "passphrase", passphrase: PASSPHRASE });
    assert.equal(await same.load(), "{}");
  });
}

test("an open prompt does not hold the lock, and the change is merged with writes made meanwhile", async (t) => {
  const path = await place(t);
  const known = { type: "passphrase", passphrase: PASSPHRASE };
  const other = new PersistenceCachePlugin(await EncryptedFilePersistence.create(path, known));
  await change(other, new Memory(), (memory) => memory.signIn("ada"));
  const slow = new PersistenceCachePlugin(
    await asking(path, async () => {
      await assert.rejects(access(`${path}.lockfile`), { code: "ENOENT" });
      await change(other, new Memory(), (memory) => memory.signIn("bob"));
      return PASSPHRASE;
    }),
  );
  const memory = new Memory();
  await change(slow, memory, (mine) => mine.signIn("cleo"));
  assert.deepEqual(memory.names(), ["ada", "bob", "cleo"]);
  assert.deepEqual(await list(other, new Memory()), ["ada", "bob", "cleo"]);
});

test("the same for the first change to a file that does not exist", async (t) => {
  const path = await place(t);
  const plugin = new PersistenceCachePlugin(
    await asking(path, async () => {
      // While this process holds the lock, no other lock could be taken.
      const file = await FilePersistence.create(`${path}.other`);
      await file.save("{}");
      await assert.rejects(access(`${path}.lockfile`), { code: "ENOENT" });
      return PASSPHRASE;
    }),
  );
  await change(plugin, new Memory(), (memory) => memory.signIn("ada"));
  const same = await EncryptedFilePersistence.create(path, { type: "passphrase", passphrase: PASSPHRASE });
  assert.deepEqual(namesIn(await same.load()), ["ada"]);
});

test("a wrong passphrase is a WrongKeyError, and the function is called again the next time", async (t) => {
  const path = await place(t);
  await (await EncryptedFilePersistence.create(path, { type: "passphrase", passphrase: PASSPHRASE })).save(
    "{}",
  );
  const answers = ["hunter2", "hunter3", PASSPHRASE];
  const persistence = await asking(path, () => answers.shift());
  for (const guess of ["hunter2", "hunter3"]) {
    const error = await rejection(persistence.load());
    assert.equal(error.errorCode, "WrongKeyError");
    assert.doesNotMatch(inspect(error), new RegExp(guess));
  }
  assert.equal(await persistence.load(), "{}");
  assert.equal(await persistence.load(), "{}");
  assert.deepEqual(answers, []);
});

test("a function that fails, gives nothing or never answers is a MissingKeyError in time, and nothing is written", async (t) => {
  const path = await place(t);
  const same = await EncryptedFilePersistence.create(path, { type: "passphrase", passphrase: PASSPHRASE });
  await same.save("{}");
  const before = await readFile(path);
  const thrown = new Error("no terminal");
  /** @type {[string, () => unknown][]} */
  const ways = [
    [
      "passphrase_failed",
      () => {
        throw thrown;
      },
    ],
    ["passphrase_failed", () => Promise.reject(thrown)],
    ["passphrase_timeout", () => new Promise(() => {})],
    ["missing_key", () => ""],
    ["missing_key", () => undefined],
    ["missing_key", async () => 12345],
  ];
  for (const [code, ask] of ways) {
    const persistence = await asking(path, ask, { promptTimeout: 300 });
    for (const attempt of [
      () => persistence.load(),
      () => persistence.save("other"),
      () => change(new PersistenceCachePlugin(persistence), new Memory(), (memory) => memory.signIn("ada")),
    ]) {
      const { result: error, naps } = await timed(() => rejection(attempt));
      assert.ok(error instanceof PersistenceError, inspect(error));
      assert.ok(naps < 3_000, `${code}: ${naps} naps`);
      assert.deepEqual([error.errorCode, error.code], ["MissingKeyError", code]);
      assert.equal(error.cause, code === "passphrase_failed" ? thrown : undefined);
      assert.doesNotMatch(error.message, /12345|no terminal/);
    }
  }
  assert.deepEqual(await readFile(path), before);
  await same.save("[]");
  assert.equal(await same.load(), "[]");
});

test("deriving the key does not block the event loop", async (t) => {
  const path = await place(t);
  const persistence = await EncryptedFilePersistence.create(path, {
    type: "passphrase",
    passphrase: PASSPHRASE,
  });
  let ticks = 0;
  const clock = setInterval(() => {
    ticks += 1;
  }, 1);
  const start = performance.now();
  await persistence.verifyPersistence();
  const took = performance.now() - start;
  clearInterval(clock);
  // Argon2id takes a tenth of a second or more; a blocked loop would have ticked once or twice.
  assert.ok(took > 20 && ticks >= 5, `${ticks} ticks in ${took} ms`);
});
