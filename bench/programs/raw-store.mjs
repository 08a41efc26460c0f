// @ts-check
/**
 * Writes and reads a keystore item without a plugin, to measure the libraries below the plugins.
 *
 * Specification: { package: "tokenkeep" | "keytar" | "napi-keyring", path, operation: "set" | "get", bytes, samples
 * }. Result: milliseconds, one number a sample.
 */
import { createRequire } from "node:module";
import { cacheOf } from "../lib/content.mjs";
import { load, persistenceOf } from "../lib/packages.mjs";
import { specification, tell, timed } from "../lib/program.mjs";

const spec = specification();
const fromHere = createRequire(import.meta.url);

/** @type {Record<string, () => Promise<{ set(text: string): unknown, get(): unknown }>>} */
const stores = {
  async tokenkeep() {
    const persistence = await persistenceOf(load("tokenkeep"), { store: "secret-service", path: spec.path });
    return { set: (text) => persistence.save(text), get: () => persistence.load() };
  },
  async keytar() {
    const keytar = fromHere("keytar");
    return {
      set: (text) => keytar.setPassword("tokenkeep-bench", "raw", text),
      get: () => keytar.getPassword("tokenkeep-bench", "raw"),
    };
  },
  async "napi-keyring"() {
    const { AsyncEntry } = fromHere("@napi-rs/keyring");
    const entry = new AsyncEntry("tokenkeep-bench", "raw");
    return { set: (text) => entry.setPassword(text), get: () => entry.getPassword() };
  },
};

const store = await stores[spec.package]();
const contents = [cacheOf(spec.bytes, 1), cacheOf(spec.bytes, 2)];
await store.set(contents[0]);
if ((await store.get()) !== contents[0]) {
  throw new Error("what was read is not what was written");
}
const samples = [];
for (let n = 0; n < spec.samples; n += 1) {
  const work = spec.operation === "set" ? () => store.set(contents[n % 2]) : () => store.get();
  samples.push(await timed(work));
}
tell(samples);
process.exit(0);
