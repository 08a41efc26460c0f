// @ts-check
/**
 * The two implementations of the addon's face side by side: the binary, and what plaintext files work with where there
 * is none.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { required, subject } from "../support/subject.mjs";

const require = createRequire(import.meta.url);

/** A function of the face, called with promises. @param {any} addon */
function withPromises(addon) {
  /** @type {Map<number, (failure: any, value: any) => void>} */
  const waiting = new Map();
  let last = 0;
  const channel = new addon.Channel(
    (/** @type {number} */ call, /** @type {any} */ failure, /** @type {any} */ value) => {
      waiting.get(call)?.(failure, value);
      waiting.delete(call);
    },
  );
  return {
    /** @param {string} name @param {unknown[]} args @returns {Promise<any>} */
    ask: (name, ...args) =>
      new Promise((resolve) => {
        last += 1;
        waiting.set(last, (failure, value) => resolve(failure ? { failure: failure.kind } : value));
        addon[name](channel, last, ...args);
      }),
    close: () => channel.close(0),
  };
}

/** The binary that the package under test loads. @param {string} dir a scratch directory */
export async function binary(dir) {
  // Loading is lazy; this loads it.
  await new (required().FilePersistence)(join(dir, "any")).info();
  const { sharedObjects } = /** @type {any} */ (process.report.getReport());
  const path = sharedObjects.find((/** @type {string} */ object) => object.endsWith(".node"));
  return withPromises(require(path));
}

/** The implementation without a binary. */
export function script() {
  const main = require.resolve(subject);
  return withPromises(require(join(dirname(main), "without-addon.js")).withoutAddon(new Error("no binary")));
}
