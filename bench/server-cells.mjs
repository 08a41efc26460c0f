// @ts-check
/**
 * What a token costs a web server, over a Redis that the cell starts. All sides have the same client of Redis.
 */
import { Redis } from "ioredis";
import { redisServer } from "../bindings/node/test/server/servers.mjs";
import { node } from "./lib/sides.mjs";

export const NO_STORE = "no store";
export const PLUGIN = "DistributedCachePlugin";
const OURS = "tokenkeep";

/** @param {{ quick: boolean }} options @returns {import("./cells.mjs").Cell[]} */
export function serverCells({ quick }) {
  const partitions = quick ? [1, 10_000] : [1, 10_000, 300_000];
  return [
    ...["cached", "refresh"].map((operation) => calls(operation, quick)),
    ...partitions.map((count) => among(count, quick)),
  ];
}

/** Calls `work` with a Redis that has `count` other records, of 1 KB. @template T @param {number} count @param {(url: string) => Promise<T>} work */
async function withRedis(count, work) {
  /** @type {(() => unknown)[]} */
  const ends = [];
  try {
    const { url } = await redisServer({ after: (end) => ends.push(end) }, "redis", [
      "--enable-debug-command",
      "local",
    ]);
    if (count > 1) {
      const client = new Redis(url);
      await client.call("DEBUG", "POPULATE", String(count - 1), "other:", "1000");
      client.disconnect();
    }
    return await work(url);
  } finally {
    for (const end of ends.reverse()) {
      await end();
    }
  }
}

/** @param {string} side @param {string} operation @param {number} count @param {boolean} quick */
function run(side, operation, count, quick) {
  const samples = (operation === "cached" ? 1_500 : 500) / (quick ? 5 : 1);
  return () => withRedis(count, (url) => node("server.mjs", { side, operation, url, samples }).next());
}

/** @param {string} operation @param {boolean} quick @returns {import("./cells.mjs").Cell} */
function calls(operation, quick) {
  return {
    group: "server token",
    name: operation === "cached" ? "from the cache" : "redeemed and stored",
    unit: "ms",
    sides: {
      [OURS]: run("tokenkeep", operation, 1, quick),
      [PLUGIN]: run("original", operation, 1, quick),
      [NO_STORE]: run("no store", operation, 1, quick),
    },
  };
}

/** @param {number} count @param {boolean} quick @returns {import("./cells.mjs").Cell} */
function among(count, quick) {
  return {
    group: "server partitions",
    name: `${count} records`,
    x: count,
    unit: "ms",
    rounds: 3,
    sides: { [OURS]: run("tokenkeep", "cached", count, quick) },
  };
}
