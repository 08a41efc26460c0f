// @ts-check
/**
 * What goes wrong with msal-node's DistributedCachePlugin over a real Redis, one check each. Every check fails over the original
 * and passes over ours.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DistributedCachePlugin } from "@azure/msal-node";
import { userNamed } from "../../../../demo/signin/directory.mjs";
import { connect, server } from "./backends.mjs";
import {
  ConfidentialClientApplication,
  client,
  configuration,
  holders,
  look,
  redemptions,
  SCOPES,
  Sessions,
  SignInService,
  signInOf,
} from "./program.mjs";
import { redisServer } from "./servers.mjs";

const [ALICE, BOB] = ["alice@contoso.example", "bob@contoso.example"];
const OTHER = ["https://other.example/read"];
const THIRD = ["https://third.example/read"];

/** @param {string} name */
function idOf(name) {
  const { oid, tid } = userNamed(name);
  return `${oid}.${tid}`;
}

/**
 * What a check runs over. `fault` spoils the next read of the database.
 *
 * @typedef {object} World
 * @property {(manager: any) => any} plugin         the plugin under its old name
 * @property {SignInService} service
 * @property {any} db                               a client of Redis, to look and to spoil
 * @property {(service: SignInService) => any} clients   the calls of a program on another server
 * @property {(key: string) => Promise<string>} stored   the cache of a partition
 * @property {() => void} failNextRead
 * @property {() => Promise<string[]>} names
 */

/** Signs in through a client of one request. @param {World} world @param {any} plugin @param {string} user @param {string[]} [scopes] */
async function signIn({ service }, plugin, user, scopes) {
  const { account } = await client(service, plugin).acquireTokenByCode(signInOf(service, user, scopes));
  return /** @type {any} */ (account).homeAccountId;
}

/** @type {Record<string, (world: World) => Promise<void>>} */
const CHECKS = {
  "1: in a shared client the tokens of the second user go to the second user's partition": async (world) => {
    const sessions = new Sessions();
    const shared = client(world.service, world.plugin(sessions.partitionManager));
    for (const user of [ALICE, BOB]) {
      await sessions.run({}, () => shared.acquireTokenByCode(signInOf(world.service, user)));
    }
    assert.deepEqual(holders(await world.stored(idOf(ALICE))), [idOf(ALICE)]);
    assert.deepEqual(holders(await world.stored(idOf(BOB))), [idOf(BOB)]);
  },

  "2: with four users at once in a shared client each partition ends with one user's tokens": async (
    world,
  ) => {
    const sessions = new Sessions();
    const users = [ALICE, BOB, "cyd@contoso.example", "dan@contoso.example"];
    const shared = client(world.service, world.plugin(sessions.partitionManager));
    await Promise.all(
      users.map((user) => sessions.run({}, () => shared.acquireTokenByCode(signInOf(world.service, user)))),
    );
    for (const user of users) {
      assert.deepEqual(holders(await world.stored(idOf(user))), [idOf(user)], user);
    }
  },

  "3: after a sign-out nothing is left in the database": async (world) => {
    const sessions = new Sessions();
    const plugin = world.plugin(sessions.partitionManager);
    const account = await sessions.run({}, () => signIn(world, plugin, ALICE));
    await sessions.run({ account }, async () => {
      const cache = client(world.service, plugin).getTokenCache();
      const [known] = await cache.getAllAccounts();
      await cache.removeAccount(/** @type {any} */ (known));
    });
    assert.deepEqual(await world.names(), []);
  },

  "4: a read that fails ends in no write": async (world) => {
    const sessions = new Sessions();
    const plugin = world.plugin(sessions.partitionManager);
    const account = await sessions.run({}, () => signIn(world, plugin, ALICE));
    await sessions.run({ account }, () => signIn(world, plugin, ALICE, OTHER));
    world.failNextRead();
    await sessions
      .run({ account }, () =>
        client(world.service, plugin).acquireTokenByCode(signInOf(world.service, ALICE, THIRD)),
      )
      .catch(() => {});
    const cache = JSON.parse(await world.stored(account));
    assert.equal(Object.keys(cache.AccessToken).length, 2, "the tokens from before are there, and no other");
  },

  "5: a sign-in in a second browser adds to what is stored": async (world) => {
    const sessions = new Sessions();
    const plugin = world.plugin(sessions.partitionManager);
    const account = await sessions.run({}, () => signIn(world, plugin, ALICE));
    await sessions.run({}, () => signIn(world, plugin, ALICE, OTHER));
    const cache = JSON.parse(await world.stored(account));
    assert.equal(Object.keys(cache.AccessToken).length, 2);
  },

  "6: a client on another server lists nobody who signed out, and brings nobody back": async (world) => {
    const sessions = new Sessions();
    const account = await sessions.run({}, () =>
      signIn(world, world.plugin(sessions.partitionManager), ALICE),
    );
    const longLived = client(world.service, world.plugin(sessions.partitionManager));
    await sessions.run({ account }, async () => {
      assert.equal((await longLived.getTokenCache().getAllAccounts()).length, 1);
      const elsewhere = client(world.service, world.plugin(sessions.partitionManager)).getTokenCache();
      const [known] = await elsewhere.getAllAccounts();
      await elsewhere.removeAccount(/** @type {any} */ (known));
      assert.deepEqual(await longLived.getTokenCache().getAllAccounts(), []);
      const authority = `https://login.microsoftonline.com/${userNamed(ALICE).tid}`;
      await longLived.acquireTokenByClientCredential({ scopes: ["https://api.example/.default"], authority });
    });
    assert.deepEqual(holders(await world.stored(account)), []);
  },

  "7: a call on behalf of a user finds its token on another server, and holds no other user's": async (
    world,
  ) => {
    const one = world.clients(world.service);
    const assertions = [];
    for (let at = 0; at < 20; at++) {
      const [user, service] = [`user${at}@contoso.example`, world.service];
      const { accessToken } = await client(service, undefined).acquireTokenByCode(signInOf(service, user));
      assertions.push(accessToken);
      await one.onBehalfOf({ oboAssertion: accessToken, scopes: OTHER });
    }
    const asked = redemptions(world.service, "jwt-bearer");
    const two = world.clients(world.service);
    for (const oboAssertion of assertions) {
      await two.onBehalfOf({ oboAssertion, scopes: OTHER });
    }
    assert.equal(redemptions(world.service, "jwt-bearer"), asked);
    const sizes = await Promise.all(
      (await world.names()).map((name) => world.db.strLen(name).catch(() => 0)),
    );
    assert.ok(Math.max(...sizes) < 8_000, `the largest record has ${Math.max(...sizes)} bytes`);
  },

  "8: a sign-in heals a damaged record": async (world) => {
    const sessions = new Sessions();
    const plugin = world.plugin(sessions.partitionManager);
    const account = await sessions.run({}, () => signIn(world, plugin, ALICE));
    for (const name of await world.names()) {
      const bytes = await world.db.withTypeMapping({ 36: Buffer }).get(name);
      await world.db.set(name, bytes.subarray(0, bytes.length - 40));
    }
    await sessions.run({ account }, () => signIn(world, plugin, ALICE));
    assert.deepEqual(holders(await world.stored(account)), [account]);
  },

  "9: a refresh token that the service refused is redeemed once": async (world) => {
    const clients = world.clients(world.service);
    const { account } = await clients.signIn(signInOf(world.service, ALICE));
    const { homeAccountId } = account;
    const asked = redemptions(world.service);
    for (let round = 0; round < 3; round++) {
      world.service.failWith("invalid_grant");
      const call = clients.silent({ homeAccountId, scopes: SCOPES, forceRefresh: true });
      await assert.rejects(call, {
        name: /InteractionRequiredAuthError|ServerError|StoreError|ClientAuthError/,
      });
    }
    assert.equal(redemptions(world.service) - asked, 1);
  },

  "10: eight requests for one new token redeem once": async (world) => {
    const clients = Array.from({ length: 8 }, () => world.clients(world.service));
    const { account } = await clients[0].signIn(signInOf(world.service, ALICE));
    const { homeAccountId } = account;
    const asked = redemptions(world.service);
    const answers = await Promise.all(clients.map((one) => one.silent({ homeAccountId, scopes: OTHER })));
    assert.equal(redemptions(world.service) - asked, 1);
    assert.equal(new Set(answers.map((answer) => answer.accessToken)).size, 1);
  },

  "11: everything expires": async (world) => {
    const sessions = new Sessions();
    await sessions.run({}, () => signIn(world, world.plugin(sessions.partitionManager), ALICE));
    const names = await world.names();
    assert.equal(names.length, 1);
    for (const name of names) {
      assert.ok((await world.db.pTTL(name)) > 0, "the record has no expiry");
    }
  },

  "12: of two servers that write at once, none loses what it stored": async (world) => {
    const sessions = new Sessions();
    const account = await sessions.run({}, () =>
      signIn(world, world.plugin(sessions.partitionManager), ALICE),
    );
    const rounds = 12;
    const wanted = Array.from({ length: rounds * 2 }, (_, at) => [`https://resource${at}.example/read`]);
    for (let round = 0; round < rounds; round++) {
      await Promise.all(
        wanted.slice(round * 2, round * 2 + 2).map((scopes) =>
          sessions.run({ account }, async () => {
            const one = client(world.service, world.plugin(sessions.partitionManager));
            const [known] = await one.getTokenCache().getAllAccounts();
            await one.acquireTokenSilent({ scopes, account: /** @type {any} */ (known) });
          }),
        ),
      );
    }
    const { AccessToken } = JSON.parse(await world.stored(account));
    assert.equal(Object.keys(AccessToken).length, wanted.length + 1);
  },
};

/** The original, used as Microsoft's samples do. @param {any} db @returns {World} */
function original(db) {
  let failing = 0;
  const cacheClient = {
    get: async (/** @type {string} */ key) => {
      if (failing > 0) {
        failing -= 1;
        // Microsoft's sample turns every error of the client into nothing.
        return "";
      }
      return (await db.get(key)) ?? "";
    },
    set: (/** @type {string} */ key, /** @type {string} */ value) => db.set(key, value),
  };
  const plugin = (/** @type {any} */ manager) => new DistributedCachePlugin(cacheClient, manager);
  const service = new SignInService();
  return {
    db,
    service,
    plugin,
    names: () => db.keys("*"),
    stored: async (key) => (await db.get(key)) ?? "",
    failNextRead: () => {
      failing = 1;
    },
    clients: () => {
      const sessions = new Sessions();
      const shared = client(service, plugin(sessions.partitionManager));
      return {
        signIn: (/** @type {any} */ request) => sessions.run({}, () => shared.acquireTokenByCode(request)),
        onBehalfOf: (/** @type {any} */ request) =>
          sessions.run({}, () => shared.acquireTokenOnBehalfOf(request)),
        silent: (/** @type {any} */ { homeAccountId, ...request }) =>
          sessions.run({ account: homeAccountId }, async () => {
            const one = client(service, plugin(sessions.partitionManager));
            const account = await one.getTokenCache().getAccountByHomeId(homeAccountId);
            return one.acquireTokenSilent({ ...request, account: /** @type {any} */ (account) });
          }),
      };
    },
  };
}

/** Ours, under the same name. @param {any} db @returns {World} */
function ours(db) {
  let failing = 0;
  const backend = server.redis(db);
  const read = backend.read.bind(backend);
  backend.read = (name, signal) => {
    if (failing > 0) {
      failing -= 1;
      return Promise.reject(new server.StoreError("unavailable", "the test cut the connection"));
    }
    return read(name, signal);
  };
  const store = () => new server.TokenStore({ app: "tests", backend, keys: server.keys.of(KEY) });
  const plugin = (/** @type {any} */ manager) => new server.DistributedCachePlugin(store(), manager);
  return {
    db,
    service: new SignInService(),
    plugin,
    names: () => db.keys("*"),
    stored: (key) => look(plugin({ getKey: async () => key, extractKey: async () => key })),
    failNextRead: () => {
      failing = 1;
    },
    clients: (service) =>
      new server.ConfidentialClients(ConfidentialClientApplication, configuration(service), store()),
  };
}

const KEY = randomBytes(32);

describe("over Redis", () => {
  /** @type {(() => unknown)[]} */
  const ends = [];
  const scope = { after: (/** @type {() => unknown} */ end) => ends.push(end) };
  /** @type {any} */
  let db;

  before(async () => {
    const { url } = await redisServer(scope);
    db = await connect(scope, "node-redis 6", url);
  });
  after(async () => {
    for (const end of ends.reverse()) {
      await end();
    }
  });

  for (const [name, check] of Object.entries(CHECKS)) {
    test(`${name}; the original fails`, async () => {
      await db.flushAll();
      await assert.rejects(
        check(original(db)),
        (error) => error instanceof assert.AssertionError || error instanceof SyntaxError,
        "the original passes, so that the check shows nothing",
      );
    });

    test(`${name}; ours passes`, async () => {
      await db.flushAll();
      await check(ours(db));
      // A lease that is given back late is no part of a check.
      await sleep(0);
    });
  }
});
