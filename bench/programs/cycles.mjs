// @ts-check
/**
 * Runs cycles of the cache plugin, one after another: `unchanged` reads, reads with `reload`, `write`s.
 *
 * Specification: { package, store, durability?, path, operation, bytes or accounts, samples }. Result: milliseconds,
 * one number a sample.
 */
import { strict as assert } from "node:assert";
import { utimesSync, writeFileSync } from "node:fs";
import { Client, cacheOf, cacheOfAccounts } from "../lib/content.mjs";
import { load, persistenceOf } from "../lib/packages.mjs";
import { sleep, specification, tell, timed } from "../lib/program.mjs";

/** An unchanged read takes microseconds, so one sample times this many together. */
const BATCH = 200;
/** Longer than a clock tick of the file system, so that both packages can see that a file changed. */
const TICK_MS = 15;

const spec = specification();
const extensions = load(spec.package);
const persistence = await persistenceOf(extensions, spec);
const plugin = new extensions.PersistenceCachePlugin(persistence);
/** Writes the changes that a reload must notice, as another process does. */
const other = spec.operation === "reload" ? await persistenceOf(extensions, spec) : persistence;
const contents = [1, 2].map((variant) =>
  spec.accounts ? cacheOfAccounts(spec.accounts, variant) : cacheOf(spec.bytes, variant),
);
const client = new Client("{}");

async function read() {
  const context = client.context(false);
  await plugin.beforeCacheAccess(context);
  await plugin.afterCacheAccess(context);
}

/** @param {string} content */
async function write(content) {
  const context = client.context(true);
  await plugin.beforeCacheAccess(context);
  client.content = content;
  await plugin.afterCacheAccess(context);
}

/** @type {Record<string, (n: number) => Promise<number>>} */
const operations = {
  async unchanged() {
    const took = await timed(async () => {
      for (let n = 0; n < BATCH; n += 1) {
        await read();
      }
    });
    return took / BATCH;
  },

  async reload(n) {
    await sleep(TICK_MS);
    if (spec.store === "file") {
      writeFileSync(spec.path, contents[n % 2]);
    } else {
      // The original's `save` does not touch the marker file; its plugin does.
      await other.save(contents[n % 2]);
      utimesSync(spec.path, new Date(), new Date());
    }
    await sleep(TICK_MS);
    const before = client.loads;
    const took = await timed(read);
    assert.equal(client.loads, before + 1, "the change was not noticed");
    return took;
  },

  write: (n) => timed(() => write(contents[n % 2])),
};

const operation = operations[spec.operation];
await write(contents[0]);
await sleep(TICK_MS);
await read();
await read();
await operation(1);
const samples = [];
for (let n = 0; n < spec.samples; n += 1) {
  samples.push(await operation(n));
}
// Check that the measured writes happened.
const stored = await persistence.load();
assert.equal(stored.length, contents[0].length);
if (spec.operation === "write") {
  assert.ok(stored === contents[(spec.samples - 1) % 2]);
}
tell(samples);
