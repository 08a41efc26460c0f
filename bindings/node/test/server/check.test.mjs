// @ts-check
/**
 * What check() tells an operator, and that the remedy in its words is one.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, pool, server } from "./backends.mjs";
import { postgresServer, redisServer } from "./servers.mjs";

/** @param {any} backend */
const storeOver = (backend) => new server.TokenStore({ app: "check", backend, keys: server.keys.random() });

/** @param {any} store */
const idsOf = async (store) => (await store.check()).map((/** @type {any} */ finding) => finding.id);

test("a Redis that does not allow scripts is told, and the rule in the message allows them", async (t) => {
  const { url, port } = await redisServer(t, "redis", ["--appendonly", "yes"]);
  const operator = await connect(t, "ioredis 6", url);
  await operator.call("ACL", "SETUSER", "web", "on", ">of-no-use", "+get", "+info", "~tk:*");
  const client = await connect(t, "ioredis 6", `redis://web:of-no-use@127.0.0.1:${port}`);
  const store = storeOver(server.redis(client));
  const [finding] = await store.check();
  assert.deepEqual([finding?.id, finding?.level], ["unsupported", "error"]);
  const rule =
    /ACL SETUSER NAME (.*?), and (\S+) unless it has all keys/
      .exec(finding?.message ?? "")
      ?.slice(1)
      .join(" ") ?? "";
  await operator.call("ACL", "SETUSER", "web", ...rule.split(" "));
  assert.deepEqual(await idsOf(store), []);
  for await (const _ of store.list()) {
    assert.fail("check() left a record");
  }
  await store.erase("ada.tenant");
});

test("a replica, a full memory and a policy that removes sign-ins are told", async (t) => {
  const master = await redisServer(t, "redis", ["--appendonly", "yes"]);
  const replica = await redisServer(t, "redis", ["--replicaof", "127.0.0.1", String(master.port)]);
  const onReplica = storeOver(server.redis(await connect(t, "node-redis 6", replica.url)));
  const ids = await idsOf(onReplica);
  assert.ok(ids.includes("read-only") && ids.includes("replica"), ids.join());

  const client = await connect(t, "node-redis 6", master.url);
  const store = storeOver(server.redis(client));
  assert.deepEqual(await idsOf(store), []);
  await client.sendCommand(["CONFIG", "SET", "maxmemory", "1"]);
  assert.deepEqual(await idsOf(store), ["out-of-memory"]);
  await client.sendCommand(["CONFIG", "SET", "maxmemory", "0"]);
  await client.sendCommand(["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
  await client.sendCommand(["CONFIG", "SET", "appendonly", "no"]);
  assert.deepEqual(await idsOf(store), ["evicts-sign-ins", "restart-loses-writes"]);
});

test("a PostgreSQL without the table is told, and the statements in the message make it", async (t) => {
  const db = await postgresServer(t);
  const connections = await pool(t, db.pool);
  const store = storeOver(server.postgres(connections));
  const [finding] = await store.check();
  assert.equal(finding?.id, "unsupported");
  await connections.query(/(CREATE TABLE.*)$/.exec(finding?.message ?? "")?.[1] ?? "");
  assert.deepEqual(await idsOf(store), []);
});
