// @ts-check
/**
 * A web server that signs its users in, one of several behind the same Redis. `demo/server/demo.mjs` starts it.
 *
 * It keeps no state: the cookie names the account, and its tokens are in Redis. A real program signs its cookies, and checks `state`.
 */
import { createServer } from "node:http";
import { ConfidentialClientApplication } from "@azure/msal-node";
import { createClient } from "redis";
import { ConfidentialClients, isStoreError, keys, redis, TokenStore } from "tokenkeep/server";
import { loopbackNetworkClient } from "../signin/transport.mjs";

const { REDIS_URL, SIGNIN_ORIGIN = "", AUTHORITY = "" } = process.env;
const scopes = ["https://api.example/read"];

const database = createClient({ url: /** @type {string} */ (REDIS_URL), socket: { reconnectStrategy: 100 } });
// Without a listener the first lost connection would end the process. The store reports what a request needs to know.
database.on("error", () => {});
await database.connect();

const store = new TokenStore({
  app: "demo",
  backend: redis(database),
  keys: keys.fromEnvironment("TOKENKEEP_KEYS"),
});
const auth = {
  clientId: "00000000-0000-4000-8000-0000000de500",
  authority: AUTHORITY,
  clientSecret: "of no use outside the demo",
};
const system = { networkClient: /** @type {any} */ (loopbackNetworkClient(SIGNIN_ORIGIN)) };
const clients = new ConfidentialClients(ConfidentialClientApplication, { auth, system }, store);

/** @typedef {{ status: number, body?: object, headers?: Record<string, string> }} Reply */

/** The pages. @type {Record<string, (address: URL, account: string) => Promise<Reply>>} */
const pages = {
  "/login": async ({ origin, searchParams }) => {
    const loginHint = searchParams.get("user") ?? "";
    const request = { scopes, redirectUri: `${origin}/callback`, loginHint, state: "of no use here" };
    return { status: 302, headers: { location: await clients.authCodeUrl(request) } };
  },
  "/callback": async ({ origin, searchParams }) => {
    const code = searchParams.get("code") ?? "";
    const { account } = await clients.signIn({ code, scopes, redirectUri: `${origin}/callback` });
    const cookie = `account=${account?.homeAccountId}; HttpOnly; SameSite=Lax`;
    return { status: 200, body: { user: account?.username }, headers: { "set-cookie": cookie } };
  },
  "/token": async (_address, homeAccountId) => {
    const result = await clients.silent({ homeAccountId, scopes });
    const { accessToken, fromCache, account } = result;
    return { status: 200, body: { user: account?.username, accessToken, fromCache } };
  },
  "/logout": async (_address, homeAccountId) => ({ status: 200, body: await store.erase(homeAccountId) }),
};

/** @param {URL} address @param {string} cookies @returns {Promise<Reply>} */
async function answer(address, cookies) {
  const page = pages[address.pathname];
  if (page === undefined) {
    return { status: 404 };
  }
  try {
    return await page(address, /(?:^|; )account=([^;]*)/.exec(cookies)?.[1] ?? "");
  } catch (error) {
    if (!isStoreError(error)) {
      return { status: 500, body: { error: String(error) } };
    }
    // An outage is no sign-out: the user is asked to wait, and not to sign in.
    const status = error.retryable
      ? 503
      : error.code === "no_account" || error.code === "no_partition"
        ? 401
        : 500;
    return { status, body: { code: error.code, message: error.message } };
  }
}

const server = createServer(async (request, response) => {
  const address = new URL(request.url ?? "/", `http://${request.headers.host}`);
  const { status, body = {}, headers = {} } = await answer(address, request.headers.cookie ?? "");
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
});
server.listen(0, "127.0.0.1", () => process.send?.(server.address()));
process.on("disconnect", () => process.exit(0));
