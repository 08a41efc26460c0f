// @ts-check
/** Unchanged reads on a file system whose server may not answer: no look at a file is on JavaScript's thread. */
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { output } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { requireTools } from "../support/tools.mjs";
import { privileged } from "../support/users.mjs";

/** Reads five times between two looks at names by which the trace is cut. */
const READER = `
  const { existsSync } = require("node:fs");
  const { FilePersistence, PersistenceCachePlugin } = require("tokenkeep");
  (async () => {
    const plugin = new PersistenceCachePlugin(await FilePersistence.create(process.argv[1]));
    const tokenCache = { serialize: () => '{"Account":{}}', deserialize: () => {} };
    const access = async (cacheHasChanged) => {
      await plugin.beforeCacheAccess({ tokenCache, cacheHasChanged });
      await plugin.afterCacheAccess({ tokenCache, cacheHasChanged });
    };
    await access(true);
    await new Promise((resolve) => setTimeout(resolve, 100));
    existsSync("/the-reads-begin");
    for (let read = 0; read < 5; read += 1) {
      await access(false);
    }
    existsSync("/the-reads-end");
  })();`;

/** How often JavaScript's thread, and all others, looked at files of a folder. @param {string} home @param {string} folder */
async function looks(home, folder) {
  const trace = join(home, "trace");
  const path = join(folder, "cache.json");
  const cwd = new URL("..", import.meta.url).pathname;
  await output("strace", ["-f", "-e", "trace=%file", "-o", trace, process.execPath, "-e", READER, path], {
    cwd,
  });
  const lines = (await readFile(trace, "utf8")).split("\n");
  const at = (/** @type {string} */ name) => lines.findIndex((line) => line.includes(name));
  const during = lines.slice(at("/the-reads-begin"), at("/the-reads-end"));
  const here = during[0]?.split(" ")[0] ?? "";
  const own = during.filter((line) => line.includes("cache.json"));
  const main = own.filter((line) => line.startsWith(`${here} `)).length;
  return { main, others: own.length - main };
}

const onlyOnLinux = { skip: process.platform !== "linux" && "strace exists only on Linux" };

test("on a remote file system JavaScript's thread looks at no file", onlyOnLinux, async (t) => {
  requireTools("strace", "bindfs");
  const home = await scratchDirectory(t);
  const [real, mounted] = [join(home, "real"), join(home, "mounted")];
  await mkdir(real);
  await mkdir(mounted);
  const local = await looks(home, real);
  assert.ok(local.main > 0, JSON.stringify(local));
  privileged("bindfs", real, mounted);
  try {
    const remote = await looks(home, mounted);
    assert.ok(remote.main === 0 && remote.others > 0, JSON.stringify(remote));
  } finally {
    privileged("umount", mounted);
  }
});
