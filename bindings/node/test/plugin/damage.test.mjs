// @ts-check
/**
 * The plugin finds unusable content. A write moves it aside and reports it, a read does not; or it is an error, if
 * the program asked for one.
 */
import assert from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";
import { change, contextOf, list, Memory, namesIn } from "./memory.mjs";

const { FilePersistence, PersistenceCachePlugin } = await imported();

/** None of these is a token cache to any client. @type {Record<string, string | Buffer>} */
const DAMAGED = {
  "one byte": "{",
  "cut off": '{"Account":{"ada.utid":{"home_account_id":"ada.utid","username":"secret of ada',
  NUL: "\0\0\0\0\0\0\0\0",
  "invalid UTF-8": Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0xc3, 0x28, 0x22]),
  "one byte of a token": Buffer.from('{"RefreshToken":{"r":{"secret":"of ad\xff"}}}', "latin1"),
  "two caches": "{}{}",
  "a page of a proxy": "<html>secret of ada</html>",
};

/** @param {import("node:test").TestContext} t @param {string | Buffer} content @param {Record<string, unknown>} [options] */
async function bench(t, content, options) {
  const path = join(await scratchDirectory(t), "cache.json");
  const persistence = await FilePersistence.create(path);
  await writeFile(path, content);
  /** @type {any[]} */
  const events = [];
  const onEvent = (/** @type {any} */ event) => events.push(event);
  const plugin = new PersistenceCachePlugin(persistence, undefined, { onEvent, ...options });
  const left = async () => (await readdir(dirname(path))).filter((name) => !name.endsWith(".tk-lock"));
  return { path, persistence, plugin, events, left };
}

/** Events are sent before the answer but delivered in their own turn of the event loop. */
const heard = () => new Promise((resolve) => setImmediate(resolve));

for (const [what, content] of Object.entries(DAMAGED)) {
  describe(`damage: ${what}`, () => {
    test("a read returns an empty cache, warns, and changes nothing", async (t) => {
      const { path, persistence, plugin, events, left } = await bench(t, content);
      const before = await readFile(path);
      assert.deepEqual(await list(plugin, new Memory()), []);
      if (isUtf8(before)) {
        assert.equal(await persistence.load(), before.toString("utf8"), "a direct load gives what is there");
      } else {
        const refused = { errorCode: "DamagedError", code: "damaged" };
        await assert.rejects(persistence.load(), refused, "a string would hold another token");
      }
      assert.deepEqual(Buffer.from(await persistence.loadBuffer()), before);
      await heard();
      assert.deepEqual(
        events.map(({ kind }) => kind),
        ["warning"],
      );
      assert.doesNotMatch(JSON.stringify(events), /secret of/);
      assert.deepEqual(await readFile(path), before);
      assert.deepEqual(await left(), ["cache.json"]);
    });

    test("found before a write: a copy is kept, and the write continues", async (t) => {
      const { path, plugin, events, left } = await bench(t, content);
      const before = await readFile(path);
      await change(plugin, new Memory(), (memory) => memory.signIn("bob"));
      const written = await readFile(path, "utf8");
      assert.deepEqual(namesIn(written), ["bob"]);
      assert.doesNotMatch(written, /\ufffd/, "nothing of the damaged content, in other bytes");
      await keptWhole(events, path, before);
      assert.equal((await left()).length, 2);
    });

    test("found at the commit: a copy is kept, and all of the client's entries are saved", async (t) => {
      const { path, plugin, events, left } = await bench(t, content);
      const before = await readFile(path);
      const memory = new Memory();
      memory.signIn("ada");
      memory.signIn("bob");
      // Without `before`, or after its ten seconds: the commit itself takes the lock and reads the store.
      await plugin.afterCacheAccess(contextOf(memory, true));
      assert.deepEqual(namesIn(await readFile(path, "utf8")), ["ada", "bob"]);
      await keptWhole(events, path, before);
      assert.equal((await left()).length, 2);
    });

    test("an error if the program asked for one, and nothing is written", async (t) => {
      const { path, plugin, events, left } = await bench(t, content, { onDamage: "fail" });
      const before = await readFile(path);
      const isDamaged = (/** @type {any} */ error) => {
        assert.equal(error.errorCode, "DamagedError");
        assert.equal(error.code, "damaged");
        assert.match(error.message, /cache\.json/);
        assert.doesNotMatch(error.message, /secret of/);
        return true;
      };
      const memory = new Memory();
      await assert.rejects(list(plugin, memory), isDamaged);
      await assert.rejects(
        change(plugin, memory, (one) => one.signIn("bob")),
        isDamaged,
      );
      const late = new Memory();
      late.signIn("bob");
      await assert.rejects(plugin.afterCacheAccess(contextOf(late, true)), isDamaged);
      await heard();
      assert.deepEqual(events, []);
      assert.deepEqual(await readFile(path), before);
      assert.deepEqual(await left(), ["cache.json"]);
      // After a user has repaired the file, all works again.
      await writeFile(path, "{}");
      await change(plugin, memory, (one) => one.signIn("bob"));
      assert.deepEqual(await list(plugin, memory), ["bob"]);
    });
  });
}

/** @param {any[]} events @param {string} path @param {Buffer} before */
async function keptWhole(events, path, before) {
  await heard();
  const [event, ...others] = events.filter(({ kind }) => kind === "setAside");
  assert.deepEqual(others, []);
  assert.equal(event.path, path);
  assert.match(event.copy, /cache\.json\.corrupt-[0-9a-f]{16}$/);
  assert.deepEqual(await readFile(event.copy), before);
  assert.equal((await stat(event.copy)).mode & 0o777, 0o600);
  assert.doesNotMatch(JSON.stringify(events), /secret of/);
}

test("a byte order mark in front of a cache, as .NET writes one, hides no account and is no damage", async (t) => {
  const memory = new Memory();
  memory.signIn("ada");
  const { path, plugin, events, left } = await bench(t, `\ufeff${memory.serialize()}`);
  assert.deepEqual(await list(plugin, new Memory()), ["ada"]);
  await change(plugin, new Memory(), (one) => one.signIn("bob"));
  assert.deepEqual(namesIn(await readFile(path, "utf8")), ["ada", "bob"]);
  await heard();
  assert.deepEqual(events, []);
  assert.deepEqual(await left(), ["cache.json"]);
});

test("a byte of a token that is no UTF-8 is never replaced by others, also where the lock is held", async (t) => {
  const content = Buffer.from('{"RefreshToken":{"r":{"secret":"of ad\xff"}}}', "latin1");
  const { persistence, plugin } = await bench(t, content);
  await plugin.beforeCacheAccess(contextOf(new Memory(), true)).then(async () => {
    await assert.rejects(persistence.load(), { code: "damaged" });
  });
});

test("keys with halves of surrogate pairs stay different: the client loses the entry that another program removed", async (t) => {
  const entry = (/** @type {string} */ name) => ({ home_account_id: name, username: name });
  const both = { "k\ud800": entry("ada"), "k\udbff": entry("bob") };
  const { path, plugin } = await bench(t, JSON.stringify({ Account: both }));
  const client = new Memory();
  assert.deepEqual(await list(plugin, client), ["ada", "bob"]);
  await writeFile(path, JSON.stringify({ Account: { "k\ud800": entry("ada") } }));
  assert.deepEqual(await list(plugin, client), ["ada"]);
});

test("an unknown rule is refused", async (t) => {
  const persistence = new FilePersistence(join(await scratchDirectory(t), "cache.json"));
  const create = () => new PersistenceCachePlugin(persistence, undefined, { onDamage: "ignore" });
  assert.throws(create, (/** @type {any} */ error) => /onDamage/.test(error.message));
});
