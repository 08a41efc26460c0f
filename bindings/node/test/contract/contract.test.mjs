// @ts-check
/**
 * The Node contract: the behaviour that a drop-in replacement keeps, improves and changes, checked on ours and on the
 * original.
 *
 * Each row of the contract has one or more tests. Each test states its rule:
 *
 * - `keep`: both packages do this;
 * - `improve` and `change`: the behaviour of the original and of ours are both stated and both checked, so that every
 *   deviation is visible here and no test is weakened.
 *
 * Tests that need a keyring, a second process or a broken installation start their own. This process sees no bus.
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
import "./rows/other-javascript.mjs";
import "./rows/broker.mjs";
import "./rows/broker-requests.mjs";

test("every row of the contract has a test", () => {
  assert.deepEqual(rowsWithoutTests(), []);
});
