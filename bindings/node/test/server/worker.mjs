// @ts-check
/**
 * A server of a crowd: it redeems for resource after resource of one user, and tells each token that was acknowledged. The
 * arguments are a JSON text: { backend, url | pool, key, account, number, rounds, origin, lease, original, scopes, flow, assertion }.
 */
import diagnostics from "node:diagnostics_channel";
import { DistributedCachePlugin } from "@azure/msal-node";
import { loopbackNetworkClient } from "../../../../demo/signin/transport.mjs";
import { CLIENTS, server } from "./backends.mjs";
import { ConfidentialClientApplication, client, configuration } from "./program.mjs";

const { backend, url, pool, key, account, number, rounds, origin, lease, original, scopes, flow, assertion } =
  JSON.parse(process.argv[2] ?? "{}");
const tell = (/** @type {object} */ line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const network = loopbackNetworkClient(origin);
const service = /** @type {any} */ (undefined);

/** @type {any} */
let database;
if (backend === "postgres") {
  const { default: pg } = await import("pg");
  const made = new pg.Pool({ ...pool, max: 4 });
  made.on("error", () => {});
  database = server.postgres(made, { migrate: true });
} else {
  ({ client: database } = await /** @type {any} */ (CLIENTS)[backend](url));
}

/** @returns {(scopes: string[], force: boolean) => Promise<any>} */
function calls() {
  if (original) {
    const text = {
      get: async (/** @type {string} */ name) => (await database.get(name)) ?? "",
      set: database.set.bind(database),
    };
    const manager = { getKey: async () => account, extractKey: async () => account };
    return async (wanted) => {
      const one = client(service, new DistributedCachePlugin(text, manager), network);
      const known = await one.getTokenCache().getAccountByHomeId(account);
      return one.acquireTokenSilent({ account: /** @type {any} */ (known), scopes: wanted });
    };
  }
  const made = backend === "postgres" ? database : server.redis(database);
  const store = new server.TokenStore({
    app: "crowd",
    backend: made,
    keys: server.keys.of(key),
    timeout: 5_000,
  });
  const clients = new server.ConfidentialClients(
    ConfidentialClientApplication,
    configuration(service, network),
    store,
    { lease },
  );
  if (flow === "obo") {
    return (wanted) => clients.onBehalfOf({ oboAssertion: assertion, scopes: wanted });
  }
  if (flow === "app") {
    return (wanted) => clients.app({ scopes: wanted, tenantId: "contoso.example" });
  }
  return (wanted, force) => clients.silent({ homeAccountId: account, scopes: wanted, forceRefresh: force });
}

diagnostics.subscribe("tokenkeep:server", (message) => {
  const { operation, outcome } = /** @type {any} */ (message);
  if (operation === "lease" && outcome === "led") {
    tell({ leads: true });
  }
});
const silent = calls();
tell({ ready: true });
await new Promise((resolve) => process.stdin.once("data", resolve));
if (scopes) {
  const answers = await Promise.all(Array.from({ length: rounds }, () => silent(scopes, false)));
  tell({ tokens: answers.map((answer) => answer.accessToken) });
} else {
  for (let round = 0; round < rounds; round++) {
    const wanted = [`https://resource-${number}-${round}.example/read`];
    const { accessToken } = await silent(wanted, false);
    tell({ stored: wanted[0], accessToken });
  }
}
tell({ done: true });
process.exit(0);
