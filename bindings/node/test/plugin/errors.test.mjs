// @ts-check
/** Errors of the package: how a program knows them, and that each code is documented. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { anotherCopy } from "../support/copy.mjs";
import { imported } from "../support/subject.mjs";

const { isPersistenceError, PersistenceError } = await imported();
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

test("each code is in the type and in docs/errors.md, and the core has no other", async () => {
  const types = await read("bindings/node/ts/error.ts");
  const union = types.slice(types.indexOf("export type PersistenceErrorCode"), types.indexOf("| `E"));
  const typed = [...union.matchAll(/"(\w+)"/g)].map(([, code]) => code);
  const documented = [...(await read("docs/errors.md")).matchAll(/^\| `(\w+)` \|/gm)]
    .map(([, code]) => code)
    .filter((code) => code !== "code");
  assert.deepEqual(typed, documented);
  const core = [...(await read("crates/tokenkeep/src/error.rs")).matchAll(/Self::\w+ => "(\w+)"/g)];
  assert.ok(core.length > 20);
  for (const [, kind = ""] of core) {
    assert.ok(typed.includes(kind), `${kind} is missing`);
  }
});
