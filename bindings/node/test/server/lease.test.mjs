// @ts-check
/**
 * The lease ends with its call, whatever the database did with a request that was on its way then.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { server } from "./backends.mjs";
import { ConfidentialClientApplication, configuration, SCOPES, SignInService, signInOf } from "./program.mjs";

const USER = "ada@contoso.example";

/** The state of the one lease of a database: its holder, or nothing. @typedef {{ name: string, backend: any }} Lease */

/**
 * A program over a database in which `lease` does as the test says, and a service that takes `delay` milliseconds.
 *
 * @param {(real: () => Promise<boolean>, number: number) => Promise<boolean>} lease
 * @param {number} delay
 */
async function program(lease, delay = 0) {
  const real = server.memory();
  /** @type {{ name: string, asked: number, ended: Promise<unknown>[] }} */
  const seen = { name: "", asked: 0, ended: [] };
  const backend = new Proxy(/** @type {any} */ (real), {
    get: (target, property) => {
      if (property !== "lease") {
        return typeof target[property] === "function" ? target[property].bind(target) : target[property];
      }
      return (/** @type {string} */ name, /** @type {any[]} */ ...rest) => {
        seen.name = name;
        seen.asked += 1;
        const answer = lease(() => target.lease(name, ...rest), seen.asked);
        seen.ended.push(answer);
        return answer;
      };
    },
  });
  const service = new SignInService();
  const { system, ...rest } = configuration(service);
  const { networkClient } = system;
  const slow = {
    sendGetRequestAsync: networkClient.sendGetRequestAsync.bind(networkClient),
    sendPostRequestAsync: async (/** @type {any[]} */ ...words) => {
      await new Promise((resolve) => setTimeout(resolve, delay));
      return /** @type {any} */ (networkClient).sendPostRequestAsync(...words);
    },
  };
  const store = new server.TokenStore({ app: "lease", backend, keys: server.keys.random(), timeout: 300 });
  const clients = new server.ConfidentialClients(
    ConfidentialClientApplication,
    { ...rest, system: { networkClient: slow } },
    store,
  );
  const { account } = await clients.signIn(signInOf(service, USER));
  const refresh = () =>
    clients.silent({ homeAccountId: account?.homeAccountId ?? "", scopes: SCOPES, forceRefresh: true });
  /** Whether another server gets the lease now. */
  const isFree = async () => {
    await Promise.allSettled(seen.ended);
    await new Promise((resolve) => setTimeout(resolve, 5));
    return /** @type {any} */ (real).lease(seen.name, "another server", 10, undefined);
  };
  return { refresh, isFree, seen };
}

test("a renewal that is on its way when the call ends does not keep the lease", async () => {
  /** @type {() => void} */
  let pass = () => {};
  const ended = new Promise((resolve) => {
    pass = () => resolve(undefined);
  });
  // The redemption takes longer than a third of the lease's life, and the renewal reaches the database after the release.
  const { refresh, isFree, seen } = await program(
    (real, number) => (number === 1 ? real() : ended.then(real)),
    1_200,
  );
  await refresh();
  assert.equal(seen.asked, 2);
  pass();
  assert.equal(await isFree(), true);
});

test("a lease that the database gave too late to be heard is given back", async () => {
  const { refresh, isFree } = await program(async (real) => {
    await new Promise((resolve) => setTimeout(resolve, 400));
    return real();
  });
  await refresh();
  assert.equal(await isFree(), true);
});
