// @ts-check
/**
 * A web server that needs tokens of its users, with a client of msal-node for each request.
 *
 * Specification: { side, operation, url, samples }. `side`: "tokenkeep", "original" (`DistributedCachePlugin`, which stores plaintext
 * without a condition) or "no store" (one client, which keeps its memory). `operation`: "cached" or "refresh". It returns
 * { ms, bytes }: the median time of a call, and the size of the user's record.
 */
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { ConfidentialClientApplication, DistributedCachePlugin } from "@azure/msal-node";
import { Redis } from "ioredis";
import { KNOWN_HOST, SignInService } from "../../demo/signin/service.mjs";
import { localNetworkClient } from "../../demo/signin/transport.mjs";
import { median } from "../lib/figures.mjs";
import { specification, tell, timed } from "../lib/program.mjs";

const { side, operation, url, samples } = specification();
const AUTHORITY = `https://${KNOWN_HOST}/organizations`;
const REDIRECT = "http://localhost/callback";
const USER = "ada@contoso.example";
/** As many access tokens has the user, for as many APIs. */
const RESOURCES = 8;
const scopesOf = (/** @type {number} */ number) => [`https://api-${number}.example/read`];

const service = new SignInService();
const database = new Redis(url);
const configuration = {
  auth: {
    clientId: "00000000-0000-4000-8000-0000000be5c0",
    authority: AUTHORITY,
    clientSecret: "of no use elsewhere",
  },
  system: { networkClient: /** @type {any} */ (localNetworkClient(service)) },
};

/** The request of a sign-in, with the code that the sign-in page gave. */
function signIn() {
  const query = new URLSearchParams({
    login_hint: USER,
    redirect_uri: REDIRECT,
    scope: scopesOf(0).join(" "),
    state: "s",
  });
  const page = service.handle({ method: "GET", url: `${AUTHORITY}/oauth2/v2.0/authorize?${query}` });
  const code = new URL(String(page.headers.location)).searchParams.get("code") ?? "";
  return { code, scopes: scopesOf(0), redirectUri: REDIRECT };
}

/** @typedef {(scopes: string[], forceRefresh: boolean) => Promise<any>} Silent */

/** @type {Record<string, () => Promise<{ silent: Silent, record: string }>>} */
const SIDES = {
  tokenkeep: async () => {
    const server = createRequire(`${process.env.TOKENKEEP_BENCH_PACKAGE}/package.json`)("tokenkeep/server");
    const store = new server.TokenStore({
      app: "bench",
      backend: server.redis(database),
      keys: server.keys.random(),
    });
    const clients = new server.ConfidentialClients(ConfidentialClientApplication, configuration, store);
    const { account } = await clients.signIn(signIn());
    const { homeAccountId } = account;
    const [record = ""] = await database.keys("tk:bench:{*}");
    return {
      silent: (scopes, forceRefresh) => clients.silent({ homeAccountId, scopes, forceRefresh }),
      record,
    };
  },
  original: async () => {
    const text = {
      get: async (/** @type {string} */ name) => (await database.get(name)) ?? "",
      set: database.set.bind(database),
    };
    const record = "partition of ada";
    const manager = { getKey: async () => record, extractKey: async () => record };
    const client = () =>
      new ConfidentialClientApplication({
        ...configuration,
        cache: { cachePlugin: new DistributedCachePlugin(/** @type {any} */ (text), manager) },
      });
    const { account } = await client().acquireTokenByCode(signIn());
    const silent = async (/** @type {string[]} */ scopes, /** @type {boolean} */ forceRefresh) => {
      const one = client();
      const known = await one.getTokenCache().getAccountByHomeId(account?.homeAccountId ?? "");
      return one.acquireTokenSilent({ account: /** @type {any} */ (known), scopes, forceRefresh });
    };
    return { silent, record };
  },
  "no store": async () => {
    const client = new ConfidentialClientApplication(configuration);
    const { account } = await client.acquireTokenByCode(signIn());
    const silent = (/** @type {string[]} */ scopes, /** @type {boolean} */ forceRefresh) =>
      client.acquireTokenSilent({ account: /** @type {any} */ (account), scopes, forceRefresh });
    return { silent, record: "" };
  },
};

const { silent, record } = await /** @type {any} */ (SIDES)[side]();
for (let number = 1; number < RESOURCES; number++) {
  await silent(scopesOf(number), false);
}
const asked = service.requests.length;
const times = [];
const seen = createHash("sha256");
for (let sample = 0; sample < samples; sample++) {
  times.push(
    await timed(async () => {
      const { accessToken } = await silent(scopesOf(sample % RESOURCES), operation === "refresh");
      seen.update(accessToken);
    }),
  );
}
const requests = service.requests.length - asked;
if (requests !== (operation === "refresh" ? samples : 0)) {
  throw new Error(`${requests} requests to the service for ${samples} calls`);
}
tell({ ms: median(times), bytes: record === "" ? 0 : await database.strlen(record) });
process.exit(0);
