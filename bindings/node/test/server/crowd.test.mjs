// @ts-check
/**
 * Many servers at one record: nothing that was acknowledged is lost, and a token is redeemed once for all of them.
 * TOKENKEEP_TORTURE=N makes it N times longer, and everything of it.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { listen } from "../../../../demo/signin/transport.mjs";
import { end, track } from "../support/processes.mjs";
import { connect, pool, server } from "./backends.mjs";
import {
  ConfidentialClientApplication,
  client,
  configuration,
  look,
  redemptions,
  SignInService,
  signInOf,
} from "./program.mjs";
import { postgresServer, redisServer } from "./servers.mjs";

const WORKER = fileURLToPath(new URL("worker.mjs", import.meta.url));
const ROUNDS = Number(process.env.TOKENKEEP_TORTURE ?? 1);
const KEY = randomBytes(32).toString("base64");
const USER = "ada@contoso.example";

/** The databases of the crowds. @type {Record<string, (t: any) => Promise<any>>} */
const DATABASES = {
  "redis, ioredis": (t) => overRedis(t, "redis", "ioredis 6"),
  "valkey, node-redis": (t) => overRedis(t, "valkey", "node-redis 6"),
  postgres: async (t) => {
    const db = await postgresServer(t);
    return {
      words: { backend: "postgres", pool: db.pool },
      made: server.postgres(await pool(t, db.pool), { migrate: true }),
    };
  },
};

/** @param {any} t @param {import("./servers.mjs").RedisKind} kind @param {string} backend */
async function overRedis(t, kind, backend) {
  const { url } = await redisServer(t, kind);
  const raw = await connect(t, backend, url);
  return { words: { backend, url }, made: server.redis(raw), raw };
}

/**
 * Signs a user in, and starts servers that wait for a word.
 *
 * @param {any} t @param {keyof typeof DATABASES} database @param {number} count @param {object} more
 */
async function crowd(t, database, count, more) {
  const { words, made, raw } = await /** @type {any} */ (DATABASES)[database](t);
  const service = new SignInService();
  const { origin, close } = await listen(service, { delay: 20 });
  t.after(close);
  const store = new server.TokenStore({ app: "crowd", backend: made, keys: server.keys.of(KEY) });
  const clients = new server.ConfidentialClients(
    ConfidentialClientApplication,
    configuration(service),
    store,
  );
  const { account } = await clients.signIn(signInOf(service, USER));
  const homeAccountId = account?.homeAccountId ?? "";
  const workers = await Promise.all(
    Array.from({ length: count }, (_, number) =>
      worker(t, { ...words, key: KEY, account: homeAccountId, number, origin, ...more }),
    ),
  );
  return { service, store, clients, homeAccountId, workers, raw };
}

/** @param {any} t @param {object} words */
async function worker(t, words) {
  const child = track(
    spawn(process.execPath, [WORKER, JSON.stringify(words)], { stdio: ["pipe", "pipe", "inherit"] }),
  );
  t.after(() => end(child, "SIGKILL"));
  /** @type {any[]} */
  const lines = [];
  const reader = createInterface({ input: /** @type {any} */ (child.stdout) });
  reader.on("line", (line) => lines.push(JSON.parse(line)));
  const ended = once(child, "close");
  while (lines.length === 0) {
    await Promise.race([once(reader, "line"), ended]);
    assert.equal(child.exitCode, null, "a server ended before it began");
  }
  return { child, lines, ended, go: () => child.stdin?.write("go\n") };
}

/** The tokens that a user's record has, each by its resource, which is the first of its scopes. @param {any} store @param {string} homeAccountId */
async function scopesIn(store, homeAccountId) {
  const { AccessToken } = JSON.parse(await look(store.user(homeAccountId)));
  return new Map(
    Object.values(AccessToken).map((/** @type {any} */ token) => [token.target.split(" ")[0], token.secret]),
  );
}

for (const database of Object.keys(DATABASES)) {
  test(`${database}: eight servers at one record lose nothing that was acknowledged, also when some are killed`, async (t) => {
    let acknowledgements = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const count = [8, 4, 2][round % 3] ?? 8;
      const { store, homeAccountId, workers } = await crowd(t, database, count, { rounds: 6 });
      for (const { go } of workers) {
        go();
      }
      // A quarter of them die in the middle, at least one.
      const dying = Math.max(1, count / 4);
      for (const { child, lines } of workers.slice(0, dying)) {
        while (lines.length < 3 && child.exitCode === null) {
          await sleep(2);
        }
        child.kill("SIGKILL");
      }
      await Promise.all(workers.map(({ ended }) => ended));
      const stored = await scopesIn(store, homeAccountId);
      const acknowledged = workers.flatMap(({ lines }) => lines.filter((line) => line.stored));
      assert.ok(acknowledged.length >= 6 * (count - dying), `${acknowledged.length} were acknowledged`);
      acknowledgements += acknowledged.length;
      const lost = acknowledged.filter((line) => stored.get(line.stored) !== line.accessToken);
      assert.deepEqual(
        lost.map((line) => line.stored),
        [],
        `${lost.length} of ${acknowledged.length} are lost`,
      );
    }
    t.diagnostic(`${ROUNDS} crowds, ${acknowledgements} tokens acknowledged, none lost`);
  });
}

test("redis: the same crowd over DistributedCachePlugin loses tokens, so that the test can see a loss", async (t) => {
  const { homeAccountId, workers, raw, service } = await crowd(t, "redis, ioredis", 8, {
    rounds: 6,
    original: true,
  });
  const manager = { getKey: async () => homeAccountId, extractKey: async () => homeAccountId };
  const { DistributedCachePlugin } = await import("@azure/msal-node");
  const text = {
    get: async (/** @type {string} */ name) => (await raw.get(name)) ?? "",
    set: raw.set.bind(raw),
  };
  await client(service, new DistributedCachePlugin(text, manager)).acquireTokenByCode(
    signInOf(service, USER),
  );
  for (const { go } of workers) {
    go();
  }
  await Promise.all(workers.map(({ ended }) => ended));
  const { AccessToken } = JSON.parse(await raw.get(homeAccountId));
  const acknowledged = workers.flatMap(({ lines }) => lines.filter((line) => line.stored)).length;
  assert.equal(acknowledged, 48);
  assert.ok(Object.keys(AccessToken).length - 1 < acknowledged, "nothing was lost");
});

/** The flows that redeem something for all servers, each with its grant and its scopes. @type {Record<string, [grant: string, scopes: string[]]>} */
const FLOWS = {
  silent: ["refresh_token", ["https://shared.example/read"]],
  obo: ["jwt-bearer", ["https://shared.example/read"]],
  app: ["client_credentials", ["https://shared.example/.default"]],
};

/** Servers that all want one token. @param {any} t @param {string} database @param {string} flow @param {number} count @param {number} rounds */
async function contest(t, database, flow, count, rounds) {
  const [grant, scopes] = /** @type {[string, string[]]} */ (FLOWS[flow]);
  const caller = new SignInService();
  const network = configuration(caller);
  const store = new server.TokenStore({
    app: "caller",
    backend: server.memory(),
    keys: server.keys.random(),
  });
  const clients = new server.ConfidentialClients(ConfidentialClientApplication, network, store);
  const { accessToken: assertion } = await clients.signIn(signInOf(caller, USER));
  const { service, workers } = await crowd(t, database, count, { rounds, scopes, flow, assertion });
  const before = redemptions(service, grant);
  for (const { go } of workers) {
    go();
  }
  return {
    workers,
    tokens: () => workers.flatMap(({ lines }) => lines.flatMap((line) => line.tokens ?? [])),
    redeemed: () => redemptions(service, grant) - before,
    /** The server that redeems. */
    async leader() {
      for (;;) {
        const found = workers.find(({ lines }) => lines.some((line) => line.leads));
        if (found !== undefined) {
          return found;
        }
        assert.ok(
          workers.some(({ child }) => child.exitCode === null),
          "nobody led",
        );
        await sleep(1);
      }
    },
  };
}

/** Whether to run everything, which takes minutes. */
const LONG = ROUNDS > 1;

for (const database of ["redis, ioredis", "postgres"]) {
  for (const flow of database === "postgres" && !LONG ? ["silent"] : Object.keys(FLOWS)) {
    test(`${database}, ${flow}: 32 calls on eight servers redeem once`, async (t) => {
      const { workers, tokens, redeemed } = await contest(t, database, flow, 8, 4);
      await Promise.all(workers.map(({ ended }) => ended));
      assert.equal(tokens().length, 32);
      assert.equal(new Set(tokens()).size, 1);
      assert.equal(redeemed(), 1);
    });
  }
}

for (const flow of LONG ? Object.keys(FLOWS) : ["silent"]) {
  test(`${flow}: the server that redeems is killed, and one other does it once more`, async (t) => {
    const { workers, tokens, redeemed, leader } = await contest(t, "redis, ioredis", flow, 4, 2);
    const { child } = await leader();
    child.kill("SIGKILL");
    await Promise.all(workers.map(({ ended }) => ended));
    // It may have stored its token before it died.
    assert.ok(redeemed() <= 2, `${redeemed()} redemptions`);
    assert.ok(tokens().length >= 6, `${tokens().length} calls have a token`);
    assert.equal(new Set(tokens()).size, 1);
  });

  test(`${flow}: the server that redeems stands still for longer than its lease, and both tokens are good`, async (t) => {
    const { workers, tokens, redeemed, leader } = await contest(t, "redis, ioredis", flow, 4, 2);
    const stalled = await leader();
    stalled.child.kill("SIGSTOP");
    await Promise.all(workers.filter((one) => one !== stalled).map(({ ended }) => ended));
    stalled.child.kill("SIGCONT");
    await stalled.ended;
    assert.equal(tokens().length, 8, "every call has a token");
    assert.ok(redeemed() <= 2, `${redeemed()} redemptions`);
    assert.ok(new Set(tokens()).size <= 2);
  });
}
