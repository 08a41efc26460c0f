// @ts-check
/**
 * What every backend has to do, over every database and client.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BACKENDS } from "./backends.mjs";

const { signal } = new AbortController();
const NOBODY = { id: "one", reserve: 0 };
const MINUTE = 60_000;

/** Bytes with a revision at 8, and every byte value. @param {number} [length] */
function record(length = 600) {
  const bytes = Buffer.from(Array.from({ length }, (_, at) => (at * 7) % 256));
  randomBytes(16).copy(bytes, 8);
  return bytes;
}

/** @param {Uint8Array} bytes */
const revision = (bytes) => bytes.subarray(8, 24);

for (const [name, make] of Object.entries(BACKENDS)) {
  describe(name, () => {
    /** @type {any[]} */
    const ends = [];
    const scope = { after: (/** @type {() => unknown} */ end) => ends.push(end) };
    /** @type {import("./backends.mjs").Made} */
    let made;
    /** @type {any} */
    let backend;

    test("the backend comes up", async () => {
      made = await make(scope);
      backend = made.backend;
      assert.equal(await backend.read("tk:a:{absent}", signal), null);
    });

    test("a record is stored where there is none, byte for byte, also of 600 KB", async () => {
      for (const length of [24, 600, 600 << 10]) {
        const [key, value] = [`tk:a:{new-${length}}`, record(length)];
        assert.deepEqual(await backend.swap(key, null, value, MINUTE, NOBODY, signal), { done: true });
        assert.ok(value.equals(await backend.read(key, signal)));
      }
    });

    test("a writer that has not seen the record is answered with it, and changes nothing", async () => {
      const [first, second] = [record(), record()];
      await backend.swap("tk:a:{seen}", null, first, MINUTE, NOBODY, signal);
      for (const expect of [null, revision(second)]) {
        const answer = await backend.swap("tk:a:{seen}", expect, second, MINUTE, NOBODY, signal);
        assert.equal(answer.done, false);
        assert.ok(first.equals(answer.current));
      }
      assert.deepEqual(await backend.swap("tk:a:{seen}", revision(first), second, MINUTE, NOBODY, signal), {
        done: true,
      });
      assert.ok(second.equals(await backend.read("tk:a:{seen}", signal)));
    });

    test("a writer whose record is gone is told so", async () => {
      const gone = await backend.swap("tk:a:{gone}", revision(record()), record(), MINUTE, NOBODY, signal);
      assert.deepEqual(gone, { done: false, current: null });
    });

    test("a record is deleted by those who have seen it", async () => {
      const value = record();
      await backend.swap("tk:a:{deleted}", null, value, MINUTE, NOBODY, signal);
      const early = await backend.swap("tk:a:{deleted}", revision(record()), null, MINUTE, NOBODY, signal);
      assert.equal(early.done, false);
      assert.deepEqual(await backend.swap("tk:a:{deleted}", revision(value), null, MINUTE, NOBODY, signal), {
        done: true,
      });
      assert.equal(await backend.read("tk:a:{deleted}", signal), null);
    });

    test("an expired record counts as absent, and another takes its place", async () => {
      await backend.swap("tk:a:{short}", null, record(), 50, NOBODY, signal);
      await sleep(120);
      assert.equal(await backend.read("tk:a:{short}", signal), null);
      const next = record();
      assert.deepEqual(await backend.swap("tk:a:{short}", null, next, MINUTE, NOBODY, signal), {
        done: true,
      });
      assert.ok(next.equals(await backend.read("tk:a:{short}", signal)));
    });

    test("of many writers at once one wins", async () => {
      const other = await made.again();
      const values = Array.from({ length: 16 }, () => record());
      const answers = await Promise.all(
        values.map((value, at) =>
          (at % 2 ? other : backend).swap("tk:a:{race}", null, value, MINUTE, NOBODY, signal),
        ),
      );
      const winners = answers.flatMap((answer, at) => (answer.done ? [at] : []));
      assert.equal(winners.length, 1);
      assert.ok(
        values[/** @type {number} */ (winners[0])]?.equals(await backend.read("tk:a:{race}", signal)),
      );
    });

    test("a lease has one holder, who renews it, gives it back, or loses it with time", async () => {
      const lease = "tk:a:{leased}:l:x";
      assert.equal(await backend.lease(lease, "one", 10_000, signal), true);
      assert.equal(await backend.lease(lease, "two", 10_000, signal), false);
      assert.equal(await backend.lease(lease, "one", 10_000, signal), true);
      await backend.release(lease, "two", signal);
      assert.equal(await backend.lease(lease, "two", 10_000, signal), false);
      await backend.release(lease, "one", signal);
      assert.equal(await backend.lease(lease, "two", 40, signal), true);
      await sleep(120);
      assert.equal(await backend.lease(lease, "one", 40, signal), true);
    });

    test("a person's records are removed together, in spite of turns", async () => {
      const [person, calls] = ["tk:a:{person}", ["tk:a:{person}:a:1", "tk:a:{person}:a:2"]];
      await backend.swap(person, null, record(), MINUTE, NOBODY, signal);
      for (const call of calls) {
        await backend.swap(call, null, record(), MINUTE, NOBODY, signal);
      }
      const conflict = { id: "slow", reserve: 5_000 };
      await backend.swap(person, null, record(), MINUTE, conflict, signal);
      assert.equal(await backend.remove([person], signal), 3);
      for (const name of [person, ...calls]) {
        assert.equal(await backend.read(name, signal), null);
      }
      assert.equal(await backend.remove([person], signal), 0);
    });

    test("a record that was written again with a longer life is removed with its person's, too", async () => {
      const [person, call, first] = ["tk:a:{longer}", "tk:a:{longer}:a:1", record()];
      await backend.swap(call, null, first, 60, NOBODY, signal);
      await backend.swap(call, revision(first), record(), MINUTE, NOBODY, signal);
      await sleep(140);
      assert.equal(await backend.remove([person], signal), 1);
      assert.equal(await backend.read(call, signal), null);
    });

    test("all records are listed, and those of other applications are not", async () => {
      const names = Array.from({ length: 1_200 }, (_, at) => `tk:list:{${at}}`);
      // Clients have a limit for commands on their way.
      for (let at = 0; at < names.length; at += 400) {
        const some = names.slice(at, at + 400);
        await Promise.all(some.map((name) => backend.swap(name, null, record(24), MINUTE, NOBODY, signal)));
      }
      await backend.swap("tk:lists:{1}", null, record(24), MINUTE, NOBODY, signal);
      const found = new Set();
      for await (const name of backend.scan("tk:list:")) {
        found.add(name);
      }
      assert.deepEqual([...found].sort(), names.sort());
    });

    test("the database is stopped", async () => {
      for (const end of ends.reverse()) {
        await end();
      }
    });
  });
}
