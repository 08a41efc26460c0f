// @ts-check
/** Errors of the package: how a program knows them, and that each code is documented. */
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { anotherCopy } from "../support/copy.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";

const { FilePersistence, isPersistenceError, PersistenceError } = await imported();
const ROOT = new URL("../../../../", import.meta.url);

/** @param {string} path */
const read = (path) => readFile(new URL(path, ROOT), "utf8");

test("an error of another copy of the package in this process is known as one", () => {
  const other = anotherCopy();
  const error = new other.PersistenceError("CrossPlatformLockError", "busy");
  assert.notEqual(other.PersistenceError, PersistenceError);
  assert.equal(error instanceof PersistenceError, false);
  assert.equal(isPersistenceError(error), true);
  assert.deepEqual(Object.keys(error), ["name", "errorCode", "errorMessage"], "the mark is not printed");
  for (const none of [new Error("busy"), undefined, null, "busy", { errorCode: "busy" }]) {
    assert.equal(isPersistenceError(none), false);
  }
});

test("every code that the addon or the package gives an error is in the table of codes", async () => {
  const union = await read("bindings/node/ts/error-codes.ts");
  const typed = new Set([...union.matchAll(/\| "(\w+)"/g)].map(([, code]) => code));
  const given = new Set();
  for (const folder of ["bindings/node/src", "bindings/node/ts"]) {
    for (const name of await readdir(new URL(folder, ROOT), { recursive: true })) {
      if (/\.(rs|ts)$/.test(name)) {
        const made = /(?:Self::new|Failure::new|failure|withoutPassphrase)\(\s*"(\w+)",|\bcode: "([a-z_]+)"/g;
        for (const [, first, second] of (await read(`${folder}/${name}`)).matchAll(made)) {
          given.add(first ?? second);
        }
      }
    }
  }
  assert.ok(given.size > 7, [...given].join());
  assert.deepEqual(
    [...given].filter((code) => !typed.has(code)),
    [],
  );
});

test("an error names its place in the documentation", async (t) => {
  const page = await read("docs/errors.md");
  /** @param {string} help */
  const isThere = (help) => page.includes(`\n## \`${help.split("#")[1]}\`\n`);
  const busy = new PersistenceError("CrossPlatformLockError", "busy", { code: "busy" });
  assert.equal(busy.help, "docs/errors.md#busy");
  assert.ok(isThere(busy.help));
  const file = join(await scratchDirectory(t), "file");
  await writeFile(file, "");
  const create = FilePersistence.create(join(file, "cache.json"));
  await assert.rejects(create, (/** @type {any} */ error) => {
    assert.deepEqual([error.code, error.help], ["ENOTDIR", "docs/errors.md#unsafe_file"]);
    return isThere(error.help);
  });
  const call = PersistenceError.createFileSystemError("EMFILE", "too many open files");
  assert.equal(call.help, "docs/errors.md#failed-system-calls");
  assert.ok(page.includes("\n## Failed system calls\n"));
});
