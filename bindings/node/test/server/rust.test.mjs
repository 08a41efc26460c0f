// @ts-check
/**
 * Programs in Rust (`tokenkeep-server`) and in Node on one database: each reads what the other wrote, and together they lose nothing.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import pg from "pg";
import { connect, server } from "./backends.mjs";
import { add, read, targets } from "./memory.mjs";
import { postgresServer, redisServer } from "./servers.mjs";

const PROGRAM = process.env.TOKENKEEP_TEST_RECORDS ?? "";
const KEY = randomBytes(32).toString("base64url");
const ADA = "ada.tenant";

/** Runs the program in Rust; gives what it prints. @param {string[]} words @returns {Promise<string>} */
function rust(...words) {
  assert.ok(
    PROGRAM,
    "TOKENKEEP_TEST_RECORDS names no program: run the stage with cargo xtask test --only server",
  );
  return new Promise((resolve, reject) => {
    const child = spawn(PROGRAM, words, { env: { ...process.env, TOKENKEEP_KEYS: `# ours\n${KEY}` } });
    let [said, failed] = ["", ""];
    child.stdout.on("data", (piece) => {
      said += piece;
    });
    child.stderr.on("data", (piece) => {
      failed += piece;
    });
    child.once("close", (code) =>
      code === 0 ? resolve(said) : reject(new Error(`the program in Rust ended with ${code}: ${failed}`)),
    );
  });
}

/** @type {Record<string, (t: import("node:test").TestContext) => Promise<{ address: string, backend: any }>>} */
const DATABASES = {
  Redis: async (t) => {
    const { url } = await redisServer(t);
    return { address: url, backend: server.redis(await connect(t, "node-redis 6", url)) };
  },
  PostgreSQL: async (t) => {
    const { pool: options } = await postgresServer(t);
    const pool = new pg.Pool(options);
    pool.on("error", () => {});
    t.after(() => pool.end());
    const address = `postgres://${options.user}@${options.host}:${options.port}/${options.database}`;
    return { address, backend: server.postgres(pool, { migrate: true }) };
  },
};

for (const [name, database] of Object.entries(DATABASES)) {
  test(`over ${name}, Rust and Node read each other's records and lose nothing together`, async (t) => {
    const { address, backend } = await database(t);
    const store = new server.TokenStore({ app: "shop", backend, keys: server.keys.of(KEY) });

    await add(store.user(ADA), ADA, "node");
    assert.deepEqual(targets(JSON.parse(await rust(address, "user", ADA))), ["node"]);
    await rust(address, "user", ADA, "rust");
    assert.deepEqual(targets(await read(store.user(ADA))), ["node", "rust"]);

    await rust(address, "app", "shop", "tenant", "apps");
    assert.deepEqual(targets(await read(store.app("shop", "tenant"))), ["apps"]);
    await add(store.app("shop", "tenant"), "", "node");
    assert.deepEqual(targets(JSON.parse(await rust(address, "app", "shop", "tenant"))), ["apps", "node"]);

    const each = 15;
    const names = (/** @type {string} */ writer) =>
      Array.from({ length: each }, (_, at) => `${writer}-${at}`);
    const inNode = async (/** @type {string} */ writer) => {
      for (const resource of names(writer)) {
        await add(store.user("bob.tenant"), "bob.tenant", resource);
      }
    };
    const [writers, programs] = [
      ["n1", "n2"],
      ["r1", "r2"],
    ];
    await Promise.all([
      ...writers.map(inNode),
      ...programs.map((writer) => rust(address, "user", "bob.tenant", ...names(writer))),
    ]);
    const expected = [...writers, ...programs].flatMap(names).sort();
    assert.deepEqual(targets(await read(store.user("bob.tenant"))), expected);

    assert.equal((await store.erase(ADA)).removed, 1);
    assert.equal(await rust(address, "user", ADA), "");
  });
}
