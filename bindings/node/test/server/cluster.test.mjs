// @ts-check
/**
 * A cluster of six and a master watched by Sentinels, of real servers: records in every slot, and a failover.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster, Redis } from "ioredis";
import { createCluster } from "redis";
import { server } from "./backends.mjs";
import { add, read, targets } from "./memory.mjs";
import { redisServer } from "./servers.mjs";

/** @typedef {import("node:test").TestContext} TestContext */

const KEYS = server.keys.of("00".repeat(32));
const USERS = Array.from({ length: 24 }, (_, at) => `user-${at}.tenant`);
/** How long a failover may take on a busy machine, in milliseconds. */
const PATIENCE = 60_000;

/** Waits until `is` answers with something. @template T @param {string} what @param {() => Promise<T | undefined | false>} is @returns {Promise<T>} */
async function until(what, is) {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const answer = await is().catch(() => undefined);
    if (answer) {
      return answer;
    }
    assert.ok(performance.now() < deadline, `in vain: ${what}`);
    await sleep(50);
  }
}

/** Sends one command over a connection of its own. @param {number} port @param {...(string | number)} words */
async function ask(port, ...words) {
  const client = new Redis({ port, host: "127.0.0.1", lazyConnect: true });
  client.on("error", () => {});
  try {
    await client.connect();
    return await client.call(String(words[0]), ...words.slice(1).map(String));
  } finally {
    client.disconnect();
  }
}

/** Three masters with a replica each. @param {TestContext} t */
async function cluster(t) {
  const options = [
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "1500",
    "--cluster-replica-validity-factor",
    "0",
  ];
  const nodes = await Promise.all(Array.from({ length: 6 }, () => redisServer(t, "redis", options)));
  const masters = nodes.slice(0, 3);
  const [first] = masters;
  await Promise.all(
    masters.map(({ port }, at) => {
      const [from, to] = [Math.floor((at * 16_384) / 3), Math.floor(((at + 1) * 16_384) / 3) - 1];
      return ask(port, "CLUSTER", "ADDSLOTSRANGE", from, to);
    }),
  );
  for (const { port } of nodes.slice(1)) {
    await ask(first?.port ?? 0, "CLUSTER", "MEET", "127.0.0.1", port);
  }
  const knows = async (/** @type {number} */ port) =>
    String(await ask(port, "CLUSTER", "INFO")).includes("cluster_known_nodes:6");
  await until("the nodes know each other", async () =>
    (await Promise.all(nodes.map(({ port }) => knows(port)))).every(Boolean),
  );
  for (const [at, { port }] of nodes.slice(3).entries()) {
    const id = await ask(masters[at]?.port ?? 0, "CLUSTER", "MYID");
    await until(
      "the replica follows",
      async () => (await ask(port, "CLUSTER", "REPLICATE", String(id))) === "OK",
    );
  }
  await until("the cluster is up", async () =>
    (await Promise.all(nodes.map(({ port }) => ask(port, "CLUSTER", "INFO")))).every((info) =>
      String(info).includes("cluster_state:ok"),
    ),
  );
  return { nodes, masters };
}

/** @type {Record<string, (t: TestContext, ports: number[]) => Promise<any>>} */
const CLIENTS = {
  ioredis: async (t, ports) => {
    const client = new Cluster(
      ports.map((port) => ({ host: "127.0.0.1", port })),
      { redisOptions: { maxRetriesPerRequest: 1 } },
    );
    client.on("error", () => {});
    t.after(() => client.disconnect());
    return client;
  },
  "node-redis": async (t, ports) => {
    const client = createCluster({ rootNodes: ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })) });
    client.on("error", () => {});
    await client.connect();
    t.after(() => client.destroy());
    return client;
  },
};

test("in a cluster of six, records are in every part, are listed and removed, and survive the end of a master", async (t) => {
  const { nodes, masters } = await cluster(t);
  const ports = nodes.map(({ port }) => port);
  for (const [name, connect] of Object.entries(CLIENTS)) {
    const backend = server.redis(await connect(t, ports));
    const store = new server.TokenStore({ app: name, backend, keys: KEYS, timeout: 2_000 });
    await Promise.all(USERS.map((user) => add(store.user(user), user, "one")));
    const listed = [];
    for await (const record of store.list({ accounts: true })) {
      listed.push(record);
    }
    assert.equal(listed.length, USERS.length, name);
    assert.equal((await store.erase(USERS[0] ?? "")).removed, 1, name);
    await add(store.user(USERS[0] ?? ""), USERS[0] ?? "", "one");
  }
  const sizes = await Promise.all(masters.map(({ port }) => ask(port, "DBSIZE")));
  assert.ok(
    sizes.every((size) => Number(size) > 0),
    `records in each part: ${sizes}`,
  );

  // Every replica has everything before its master ends, so that nothing that was acknowledged may be missing.
  await Promise.all(masters.map(({ port }) => ask(port, "WAIT", 1, 10_000)));
  await masters[0]?.stop("SIGKILL");
  for (const [name, connect] of Object.entries(CLIENTS)) {
    const backend = server.redis(await connect(t, ports.slice(1)));
    const store = new server.TokenStore({ app: name, backend, keys: KEYS, timeout: 2_000 });
    for (const user of USERS) {
      await until(`${name}: ${user} is written again`, async () => {
        await add(store.user(user), user, "two");
        return true;
      });
      assert.deepEqual(targets(await read(store.user(user))), ["one", "two"], `${name}: ${user}`);
    }
  }
});

test("with Sentinels, the program goes on after its master has ended; what was replicated is there", async (t) => {
  const master = await redisServer(t);
  const replica = await redisServer(t, "redis", ["--replicaof", "127.0.0.1", String(master.port)]);
  await until("the replica follows", async () =>
    String(await ask(replica.port, "INFO", "replication")).includes("master_link_status:up"),
  );
  const sentinels = await Promise.all(
    Array.from({ length: 3 }, () => redisServer(t, "redis", ["--sentinel"])),
  );
  for (const { port } of sentinels) {
    await ask(port, "SENTINEL", "MONITOR", "tokens", "127.0.0.1", master.port, 2);
    await ask(port, "SENTINEL", "SET", "tokens", "down-after-milliseconds", 1_000, "failover-timeout", 5_000);
  }
  await until("the Sentinels know each other", async () => {
    const [port = 0] = sentinels.map((one) => one.port);
    const others = /** @type {unknown[]} */ (await ask(port, "SENTINEL", "SENTINELS", "tokens"));
    return others.length === 2;
  });
  const client = new Redis({
    name: "tokens",
    sentinels: sentinels.map(({ port }) => ({ host: "127.0.0.1", port })),
    maxRetriesPerRequest: 1,
  });
  client.on("error", () => {});
  t.after(() => client.disconnect());
  const store = new server.TokenStore({
    app: "watched",
    backend: server.redis(client),
    keys: KEYS,
    timeout: 1_000,
  });
  for (const user of USERS) {
    await add(store.user(user), user, "one");
  }
  await ask(master.port, "WAIT", 1, 10_000);
  await master.stop("SIGKILL");

  const during = await read(store.user(USERS[0] ?? "")).catch((error) => error);
  assert.ok(server.isStoreError(during) && during.retryable, `an outage is no sign-out: ${during}`);
  for (const user of USERS) {
    await until(`${user} is written again`, async () => {
      await add(store.user(user), user, "two");
      return true;
    });
    assert.deepEqual(targets(await read(store.user(user))), ["one", "two"], user);
  }
});
