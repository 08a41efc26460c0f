// @ts-check
/**
 * An erase beside writers: a record that is written between its look and its deletion is removed as well, and an erase that cannot
 * end is an error.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, pool, server } from "./backends.mjs";
import { add, read, targets } from "./memory.mjs";
import { postgresServer, redisServer } from "./servers.mjs";

/** @typedef {import("node:test").TestContext} TestContext */

const KEYS = server.keys.of("00".repeat(32));
const ADA = "ada.tenant";
/** @param {any} backend */
const storeOver = (backend) => new server.TokenStore({ app: "erase", backend, keys: KEYS, timeout: 20_000 });

/**
 * Each database: a store whose client calls `between` before each deletion, and one of another server.
 *
 * @type {Record<string, (t: TestContext, between: () => Promise<unknown>) => Promise<{ erasing: any, other: any }>>}
 */
const DATABASES = {
  Redis: async (t, between) => {
    const { url } = await redisServer(t);
    const [one, two] = await Promise.all([connect(t, "ioredis 6", url), connect(t, "ioredis 6", url)]);
    const slow = {
      /** @param {string} command @param {unknown[]} words */
      async callBuffer(command, ...words) {
        // A deletion names the set of the user's records first.
        if (command.startsWith("EVAL") && String(words[2]).endsWith(":o")) {
          await between();
        }
        return one.callBuffer(command, ...words);
      },
    };
    return { erasing: storeOver(server.redis(slow)), other: storeOver(server.redis(two)) };
  },
  PostgreSQL: async (t, between) => {
    const { pool: options } = await postgresServer(t);
    const made = await pool(t, options);
    const other = storeOver(server.postgres(made, { migrate: true }));
    const slow = {
      connect: () => made.connect(),
      /** @param {string} text @param {unknown[]} [values] */
      async query(text, values) {
        if (text.startsWith("DELETE") && text.includes("unnest")) {
          await between();
        }
        return made.query(text, values);
      },
    };
    return { erasing: storeOver(server.postgres(slow)), other };
  },
};

for (const [name, database] of Object.entries(DATABASES)) {
  test(`${name}: an erase removes a record that is written before the deletion`, async (t) => {
    let writes = 1;
    const { erasing, other } = await database(t, async () => {
      if (writes > 0) {
        writes -= 1;
        await add(other.user(ADA), ADA, "during");
      }
    });
    await add(other.user(ADA), ADA, "before");
    assert.deepEqual(await erasing.erase(ADA), { removed: 1 });
    assert.equal(writes, 0);
    assert.deepEqual(targets(await read(other.user(ADA))), []);
  });

  test(`${name}: an erase that other servers outrun is an error, and the next one removes the record`, async (t) => {
    let writing = true;
    let number = 0;
    const { erasing, other } = await database(t, async () => {
      if (writing) {
        number += 1;
        await add(other.user(ADA), ADA, `during-${number}`);
      }
    });
    await add(other.user(ADA), ADA, "before");
    await assert.rejects(erasing.erase(ADA), (/** @type {any} */ error) => {
      assert.ok(server.isStoreError(error));
      assert.equal(error.code, "conflict");
      return true;
    });
    // The first call of a script may be sent twice.
    assert.ok(number === 10 || number === 11, `${number} deletions`);
    writing = false;
    assert.deepEqual(await erasing.erase(ADA), { removed: 1 });
    assert.deepEqual(targets(await read(other.user(ADA))), []);
  });
}

test("a token of the app is stored although the look before its redemption failed", async () => {
  const memory = server.memory();
  let failures = 1;
  const flaky = Object.assign(Object.create(Object.getPrototypeOf(memory)), memory, {
    /** @param {[string, AbortSignal]} words */
    async read(...words) {
      if (failures > 0) {
        failures -= 1;
        throw new server.StoreError("unavailable", "The database is away");
      }
      return memory.read(...words);
    },
  });
  const { ConfidentialClientApplication, configuration, SignInService } = await import("./program.mjs");
  const service = new SignInService();
  const store = new server.TokenStore({ app: "erase", backend: flaky, keys: KEYS, l1: false });
  const clients = new server.ConfidentialClients(
    ConfidentialClientApplication,
    configuration(service),
    store,
  );
  const scopes = ["https://shared.example/.default"];
  const first = await clients.app({ scopes, tenantId: "contoso.example" });
  assert.equal(failures, 0);
  const again = await clients.app({ scopes, tenantId: "contoso.example" });
  assert.equal(again?.accessToken, first?.accessToken);
  assert.equal(again?.fromCache, true);
});
