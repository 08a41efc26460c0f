// @ts-check
/**
 * A Redis that does not answer, answers late, half, with rubbish or with an error: every call ends with its error within its limit, and
 * afterwards everything that was acknowledged is there.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, server } from "./backends.mjs";
import { add, read, targets } from "./memory.mjs";
import { startProxy } from "./proxy.mjs";
import { redisServer } from "./servers.mjs";

/** The limit of one answer, in milliseconds. */
const LIMIT = 250;
/** A call is a few answers and pauses; the machine may be busy. */
const CALL = LIMIT * 20;
const ADA = "ada.tenant";

/**
 * Each fault, with the codes that a read and a write may have. `retryable`: the same call succeeds when the fault is over.
 *
 * @type {[name: string, mode: import("./proxy.mjs").Mode, codes: string[], retryable: boolean][]}
 */
const FAULTS = [
  ["connections are refused", "refuse", ["unavailable", "timeout"], true],
  ["connections are taken, and nothing is answered", "silent", ["timeout", "unavailable"], true],
  ["requests arrive, and no answer comes back", "freeze", ["timeout", "unavailable"], true],
  ["every answer ends in the middle", "cut", ["unavailable", "timeout"], true],
  ["something else than Redis answers", "rubbish", ["unavailable", "timeout"], true],
  [
    "a replica takes no writes",
    "-READONLY You can't write against a read only replica.",
    ["read_only"],
    true,
  ],
  [
    "the memory is full",
    "-OOM command not allowed when used memory > 'maxmemory'.",
    ["out_of_memory"],
    false,
  ],
  ["no password was given", "-NOAUTH Authentication required.", ["unauthorized"], false],
  [
    "the password is wrong",
    "-WRONGPASS invalid username-password pair or user is disabled.",
    ["unauthorized"],
    false,
  ],
  [
    "scripts are not allowed",
    "-NOPERM this user has no permissions to run the 'eval' command",
    ["unsupported"],
    false,
  ],
  ["a slot has no master", "-CLUSTERDOWN Hash slot not served", ["cluster_down"], true],
  ["it is a cluster", "-MOVED 866 127.0.0.1:7001", ["wrong_client"], false],
  ["it reads its disk", "-LOADING Redis is loading the dataset in memory", ["unavailable"], true],
  [
    "the master is away",
    "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    ["unavailable"],
    true,
  ],
  [
    "another script runs",
    "-BUSY Redis is busy running a script. You can only call SCRIPT KILL.",
    ["unavailable"],
    true,
  ],
  [
    "it cannot write its disk",
    "-MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk.",
    ["unavailable"],
    true,
  ],
  [
    "something else has the name",
    "-WRONGTYPE Operation against a key holding the wrong kind of value",
    ["damaged"],
    false,
  ],
  ["an answer that nobody knows", "-NEWERROR of a later release", ["unavailable"], true],
  [
    "scripts are unknown",
    "-ERR unknown command 'EVALSHA', with args beginning with:",
    ["unsupported"],
    false,
  ],
];

/** The error of a call, which ends within its limit. @param {Promise<unknown>} call */
async function failure(call) {
  const began = performance.now();
  const error = await call.then(
    () => undefined,
    (/** @type {any} */ reason) => reason,
  );
  const took = performance.now() - began;
  assert.ok(took < CALL, `it took ${took} ms`);
  return error;
}

for (const client of ["node-redis 6", "ioredis 6"]) {
  describe(client, () => {
    for (const [name, mode, codes, retryable] of FAULTS) {
      test(name, async (t) => {
        const { port } = await redisServer(t);
        const proxy = await startProxy(t, port);
        const connection = await connect(t, client, proxy.url);
        const backend = server.redis(connection);
        const keys = server.keys.of("00".repeat(32));
        // The breaker has a test of its own below; here each call is a first one.
        const fresh = () => new server.TokenStore({ app: "faults", backend, keys, timeout: LIMIT });
        await add(fresh().user(ADA), ADA, "before");

        proxy.set(mode);
        for (const call of [
          () => read(fresh().user(ADA)),
          () => add(fresh().user(ADA), ADA, "during"),
          () => fresh().erase(ADA),
        ]) {
          const error = await failure(call());
          assert.ok(server.isStoreError(error), `no error of the store: ${error?.stack ?? error}`);
          assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
          assert.equal(error.retryable, retryable);
          assert.doesNotMatch(`${error.message} ${error.stack}`, /ada|tenant|token of Node/);
        }

        proxy.set("pass");
        const deadline = performance.now() + 30_000;
        for (;;) {
          try {
            await add(fresh().user(ADA), ADA, "after");
            break;
          } catch (error) {
            assert.ok(performance.now() < deadline, `it does not come back: ${error}`);
            await sleep(50);
          }
        }
        const found = targets(await read(fresh().user(ADA)));
        // A request whose answer was lost may have been done.
        const erased = ["freeze", "cut"].includes(mode) && !found.includes("before");
        const expected = erased ? ["after"] : ["after", "before"];
        assert.deepEqual(
          found.filter((/** @type {string} */ resource) => resource !== "during"),
          expected,
        );
      });
    }

    test("a removal that arrives late keeps the record of a sign-in that came meanwhile", async (t) => {
      const { port, url } = await redisServer(t);
      const proxy = await startProxy(t, port);
      const [slow, other] = await Promise.all([proxy.url, url].map((address) => connect(t, client, address)));
      const keys = server.keys.of("00".repeat(32));
      const store = (/** @type {any} */ connection) =>
        new server.TokenStore({ app: "late", backend: server.redis(connection), keys, timeout: LIMIT });
      for (let step = 0; step < 3; step++) {
        await add(store(other).user(ADA), ADA, "before");
        // The removal looks first, so that another step of it is held each time.
        const removal = failure(store(slow).erase(ADA));
        await sleep(step * 2);
        proxy.set("hold");
        await removal;
        await store(other).erase(ADA);
        await add(store(other).user(ADA), ADA, "after");
        proxy.set("pass");
        await read(store(slow).user(ADA));
        assert.deepEqual(targets(await read(store(other).user(ADA))), ["after"]);
        await store(other).erase(ADA);
      }
    });

    test("a database that is away costs a request no time after a few, by kind an error or the service", async (t) => {
      const { port } = await redisServer(t);
      const proxy = await startProxy(t, port);
      const backend = server.redis(await connect(t, client, proxy.url));
      /** @type {string[]} */
      const events = [];
      const store = new server.TokenStore({
        app: "faults",
        backend,
        keys: server.keys.of("00".repeat(32)),
        timeout: LIMIT,
        onEvent: ({ type }) => events.push(type),
      });
      await add(store.user(ADA), ADA, "before");
      proxy.set("silent");
      for (let call = 0; call < 5; call++) {
        assert.ok(server.isStoreError(await failure(read(store.user(ADA)))));
      }
      const began = performance.now();
      for (let call = 0; call < 20; call++) {
        assert.equal((await failure(read(store.user(ADA))))?.code, "unavailable");
      }
      assert.ok(performance.now() - began < LIMIT, "the breaker is open");
      // An app's own tokens come from the service meanwhile, and stay in memory.
      await add(store.app("shop", "tenant"), "", "during");
      assert.deepEqual(targets(await read(store.app("shop", "tenant"))), ["during"]);
      assert.ok(events.includes("breaker_open"), events.join());

      proxy.set("pass");
      const deadline = performance.now() + 30_000;
      while ((await failure(read(store.user(ADA)))) !== undefined) {
        assert.ok(performance.now() < deadline, "it comes back");
        await sleep(50);
      }
      assert.deepEqual(targets(await read(store.user(ADA))), ["before"]);
      assert.ok(events.includes("breaker_closed"), events.join());
    });
  });
}
