// The types of the real clients fit those that the package asks for. Nothing here runs.
import { ConfidentialClientApplication, type IPartitionManager } from "@azure/msal-node";
import { GlideClient, GlideClusterClient } from "@valkey/valkey-glide";
import { Cluster, Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis5";
import { Redis as Valkey } from "iovalkey";
import { Pool } from "pg";
import { createClient, createCluster } from "redis";
import { createClient as createClient4 } from "redis4";
import { createClient as createClient5 } from "redis5";
import {
  type Backend,
  ConfidentialClients,
  DistributedCachePlugin,
  keys,
  postgres,
  redis,
  TokenStore,
} from "tokenkeep/server";

export const backends: (() => Promise<Backend>)[] = [
  async () => redis(createClient()),
  async () => redis(await createClient({ url: "redis://127.0.0.1" }).connect()),
  async () => redis(createCluster({ rootNodes: [{ url: "redis://127.0.0.1" }] })),
  async () => redis(createClient5()),
  async () => redis(createClient4()),
  async () => redis(new Redis()),
  async () => redis(new Cluster(["redis://127.0.0.1"])),
  async () => redis(new Redis5()),
  async () => redis(new Valkey()),
  async () => redis(await GlideClient.createClient({ addresses: [{ host: "127.0.0.1" }] })),
  async () => redis(await GlideClusterClient.createClient({ addresses: [{ host: "127.0.0.1" }] })),
  async () => postgres(new Pool(), { migrate: true }),
];

export async function program(backend: Backend, partitionManager: IPartitionManager): Promise<string> {
  const store = new TokenStore({ app: "shop", backend, keys: keys.fromEnvironment("TOKENKEEP_KEYS") });
  const clients = new ConfidentialClients(
    ConfidentialClientApplication,
    { auth: { clientId: "client", clientSecret: "secret" } },
    store,
  );
  const { account } = await clients.signIn({
    code: "code",
    scopes: ["scope"],
    redirectUri: "http://localhost",
  });
  const result = await clients.silent({ homeAccountId: account?.homeAccountId ?? "", scopes: ["scope"] });
  const cachePlugin = new DistributedCachePlugin(store, partitionManager);
  const client = new ConfidentialClientApplication({ auth: { clientId: "client" }, cache: { cachePlugin } });
  return `${result.accessToken} ${client.getTokenCache().hasChanged()}`;
}
