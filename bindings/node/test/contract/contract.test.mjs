// @ts-check
/**
 * The Node contract: what a drop-in keeps, improves and changes, checked on ours and on the original alike.
 *
 * Each row of the contract is one or more tests. A test says by which rule it goes:
 *
 * - `keep`: both packages do this;
 * - `improve` and `change`: what the original does and what ours does instead, both stated, both checked, so that a
 *   deviation is always visible here and never a weakened test.
 *
 * Tests that need a keyring, a second process or a broken installation start their own; this process sees no bus.
 */
import "./isolate.mjs";
import assert from "node:assert/strict";
import { test } from "node:test";
import { rowsWithoutTests } from "./row.mjs";
import "./rows/exports.mjs";
import "./rows/create.mjs";
import "./rows/file.mjs";
import "./rows/dpapi.mjs";
import "./rows/keystore.mjs";
import "./rows/verify.mjs";
import "./rows/creator.mjs";
import "./rows/errors.mjs";
import "./rows/plugin.mjs";
import "./rows/plugin-own-store.mjs";
import "./rows/lock.mjs";
import "./rows/logger.mjs";
import "./rows/environment.mjs";
import "./rows/types.mjs";
import "./rows/fake-timers.mjs";
import "./rows/broker.mjs";
import "./rows/broker-requests.mjs";

test("every row of the contract has a test", () => {
  assert.deepEqual(rowsWithoutTests(), []);
});
