// @ts-check
/**
 * Every backend over every client, and the pieces of a program that uses one.
 */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { linkTokenkeep } from "../../../../demo/link-package.mjs";
import { postgresServer, redisServer } from "./servers.mjs";

/** @typedef {import("../support/scratch.mjs").Scope} Scope */

linkTokenkeep(fileURLToPath(new URL("..", import.meta.url)));
const require = createRequire(import.meta.url);
/** @type {typeof import("../../dist/server.js")} */
export const server = require("tokenkeep/server");

/**
 * A connection of a client; `close` ends it.
 *
 * @typedef {{ client: any, close(): unknown }} Connection
 */

/** @type {Record<string, (url: string) => Promise<Connection>>} */
export const CLIENTS = {
  "node-redis 6": (url) => nodeRedis("redis", url),
  "node-redis 5": (url) => nodeRedis("redis5", url),
  "node-redis 4": (url) => nodeRedis("redis4", url),
  "ioredis 6": (url) => ioRedis("ioredis", url),
  "ioredis 5": (url) => ioRedis("ioredis5", url),
  iovalkey: (url) => ioRedis("iovalkey", url),
  GLIDE: async (url) => {
    const { GlideClient } = await import("@valkey/valkey-glide");
    const { hostname: host, port } = new URL(url);
    const client = await GlideClient.createClient({
      addresses: [{ host, port: Number(port) }],
      requestTimeout: 5_000,
    });
    return { client, close: () => client.close() };
  },
};

/** @param {string} name @param {string} url @returns {Promise<Connection>} */
async function nodeRedis(name, url) {
  const { createClient } = await import(name);
  const client = createClient({ url });
  // A client without a listener ends the process at the first lost connection.
  client.on("error", () => {});
  await client.connect();
  return { client, close: () => (client.destroy ?? client.disconnect).call(client) };
}

/** @param {string} name @param {string} url @returns {Promise<Connection>} */
async function ioRedis(name, url) {
  const { Redis } = await import(name);
  const client = new Redis(url);
  client.on("error", () => {});
  return { client, close: () => client.disconnect() };
}

/**
 * A backend for tests. `again` gives a second one over the same database, as another server has it.
 *
 * @typedef {{ backend: any, again(): Promise<any>, db?: any }} Made
 */

/** @type {Record<string, (scope: Scope) => Promise<Made>>} */
export const BACKENDS = {
  memory: async () => {
    const backend = server.memory();
    return { backend, again: async () => backend };
  },
  ...Object.fromEntries(
    Object.keys(CLIENTS).map((client) => [
      `redis through ${client}`,
      (/** @type {Scope} */ scope) => overRedis(scope, "redis", client),
    ]),
  ),
  "valkey through ioredis 6": (scope) => overRedis(scope, "valkey", "ioredis 6"),
  "valkey through node-redis 6": (scope) => overRedis(scope, "valkey", "node-redis 6"),
  postgres: async (scope) => {
    const db = await postgresServer(scope);
    const again = async () => server.postgres(await pool(scope, db.pool), { migrate: true });
    return { backend: await again(), again, db };
  },
};

/** @param {Scope} scope @param {import("./servers.mjs").RedisKind} kind @param {string} client @returns {Promise<Made>} */
async function overRedis(scope, kind, client) {
  const db = await redisServer(scope, kind);
  const again = async () => server.redis(await connect(scope, client, db.url));
  return { backend: await again(), again, db };
}

/** A connected client, closed at the end. @param {Scope} scope @param {string} client @param {string} url */
export async function connect(scope, client, url) {
  const connection = await /** @type {any} */ (CLIENTS)[client](url);
  scope.after(() => connection.close());
  return connection.client;
}

/** @param {Scope} scope @param {object} options */
export async function pool(scope, options) {
  const { default: pg } = await import("pg");
  const made = new pg.Pool({ ...options, max: 4 });
  made.on("error", () => {});
  scope.after(() => made.end());
  return made;
}
