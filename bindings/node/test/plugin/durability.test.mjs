// @ts-check
/**
 * The system calls that each `durability` of a file makes.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { output } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";
import { requireTools } from "../support/tools.mjs";

const { FilePersistence, PersistenceError } = await imported();

const WRITER = `
  const { FilePersistence } = require("tokenkeep");
  const [path, durability] = process.argv.slice(1);
  FilePersistence.create(path, undefined, durability ? { durability } : undefined)
    .then((file) => file.save("{}"));
`;

/**
 * Returns the number of times a writer waited for the disk.
 *
 * @param {string} home
 * @param {string} [durability]
 */
async function syncs(home, durability) {
  requireTools("strace");
  const trace = join(home, `trace-${durability}`);
  const path = join(home, `cache-${durability}`);
  const program = ["-e", WRITER, path, ...(durability ? [durability] : [])];
  const cwd = new URL("..", import.meta.url).pathname;
  await output("strace", ["-f", "-e", "trace=fsync,fdatasync", "-o", trace, process.execPath, ...program], {
    cwd,
  });
  assert.equal(await readFile(path, "utf8"), "{}");
  return (await readFile(trace, "utf8")).match(/f(data)?sync\(\d+/g)?.length ?? 0;
}

const onlyOnLinux = { skip: process.platform !== "linux" && "strace exists only on Linux" };

test(
  "a synced write waits for file and directory, a cached one for neither; synced is the default",
  onlyOnLinux,
  async (t) => {
    const home = await scratchDirectory(t);
    assert.equal(await syncs(home, "synced"), 2);
    assert.equal(await syncs(home), 2);
    assert.equal(await syncs(home, "cached"), 0);
  },
);

test("an unknown durability is refused by name", async (t) => {
  const path = join(await scratchDirectory(t), "cache");
  for (const wrong of ["none", true, null, 1]) {
    await assert.rejects(
      FilePersistence.create(path, undefined, { durability: wrong }),
      (/** @type {Error} */ error) => {
        assert.ok(error instanceof PersistenceError);
        assert.match(error.message, /"durability" argument must be "synced" or "cached"/);
        return true;
      },
    );
  }
});
