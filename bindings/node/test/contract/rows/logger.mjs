// @ts-check
import assert from "node:assert/strict";
import { join } from "node:path";
import * as msal from "@azure/msal-node";
import { improve, keep } from "../row.mjs";

/** The methods of msal-common's Logger that a program may call on the result of getLogger(). */
const METHODS = ["error", "warning", "info", "verbose", "trace"];

/** Returns the messages that a logger passes to its callback. @param {any} ext @param {string} dir @param {object} [more] */
async function recorded(ext, dir, more = {}) {
  /** @type {unknown[][]} */
  const calls = [];
  const loggerCallback = (/** @type {unknown[]} */ ...args) => void calls.push(args);
  const persistence = await ext.FilePersistence.create(join(dir, "cache.json"), { loggerCallback, ...more });
  calls.length = 0;
  return { calls, logger: persistence.getLogger() };
}

keep(
  "logger",
  "the callback gets level, text and whether it holds personal data",
  async (_, { ext, dir }) => {
    const { calls, logger } = await recorded(ext, dir, {
      logLevel: msal.LogLevel.Trace,
      piiLoggingEnabled: true,
    });
    for (const [level, method] of METHODS.entries()) {
      logger[method]("hello", "correlation");
      logger[`${method}Pii`]("hello", "correlation");
      const [plain, pii] = calls.splice(0);
      assert.equal(plain?.[0], level);
      assert.match(String(plain?.[1]), /hello$/);
      assert.equal(plain?.[2], false);
      assert.deepEqual([pii?.[0], pii?.[2]], [level, true]);
    }
  },
);

keep("logger", "the default level is info", async (_, { ext, dir }) => {
  const { calls, logger } = await recorded(ext, dir);
  for (const method of METHODS) {
    logger[method]("hello", "");
  }
  assert.deepEqual(
    calls.map(([level]) => level),
    [0, 1, 2],
  );
});

keep("logger", "the level that was asked for is the one used", async (_, { ext, dir }) => {
  for (const logLevel of [0, 1, 2, 3, 4]) {
    const { calls, logger } = await recorded(ext, dir, { logLevel });
    for (const method of METHODS) {
      logger[method]("hello", "");
    }
    assert.equal(calls.length, logLevel + 1);
  }
});

keep("logger", "personal data is logged only where asked for", async (_, { ext, dir }) => {
  const { calls, logger } = await recorded(ext, dir);
  assert.equal(logger.isPiiLoggingEnabled(), false);
  logger.errorPii("ada", "");
  assert.deepEqual(calls, []);
});

keep("logger", "clone() gives a logger for the same callback", async (_, { ext, dir }) => {
  const { calls, logger } = await recorded(ext, dir);
  logger.clone("my-package", "1.2.3").warning("hello", "");
  assert.match(String(calls[0]?.[1]), /my-package@1\.2\.3/);
});

keep("logger", "create() says something at the default level", async (_, { ext, dir }) => {
  const loggerCallback = (/** @type {unknown[]} */ ...args) => void calls.push(args);
  /** @type {unknown[][]} */
  const calls = [];
  await ext.FilePersistence.create(join(dir, "cache.json"), { loggerCallback });
  assert.ok(calls.length > 0);
});

/** @param {import("../row.mjs").Bench} bench */
const createWithThrowingCallback = ({ ext, dir }) =>
  ext.FilePersistence.create(join(dir, "cache.json"), {
    logLevel: msal.LogLevel.Trace,
    loggerCallback: () => {
      throw new Error("the log is full");
    },
  });

improve("logger", "a callback that throws is ignored", {
  original: (_, bench) => assert.rejects(createWithThrowingCallback(bench), /the log is full/),
  async ours(_, bench) {
    const persistence = await createWithThrowingCallback(bench);
    await persistence.save("content");
    assert.equal(await persistence.load(), "content");
  },
});
