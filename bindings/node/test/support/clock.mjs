// @ts-check
/**
 * Measures how long an operation takes, so that an upper limit holds on a busy machine too.
 *
 * While the operation runs, a second thread takes naps of a millisecond and asks for the status of a file after each. A
 * machine that makes the operation wait for a processor makes this thread wait as well. An upper limit therefore counts
 * naps, and a lower limit reads the clock. An operation that waits by itself, for a timer or for another process, gains
 * nothing: the naps go on.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";

const NAPPER = `
const { statSync } = require("node:fs");
const { workerData: naps } = require("node:worker_threads");
for (;;) {
  Atomics.wait(naps, 1, 0, 1);
  statSync(process.execPath);
  Atomics.add(naps, 0, 1);
}`;

/**
 * Runs `work` and returns its result and how long it took, in milliseconds: `naps` for upper limits, `clock` for lower ones.
 *
 * @template T
 * @param {() => Promise<T> | T} work
 * @returns {Promise<{ result: T, naps: number, clock: number }>}
 */
export async function timed(work) {
  const count = new Int32Array(new SharedArrayBuffer(8));
  const napper = new Worker(NAPPER, { eval: true, workerData: count });
  await once(napper, "online");
  try {
    const began = performance.now();
    const result = await work();
    return { result, naps: Atomics.load(count, 0), clock: performance.now() - began };
  } finally {
    await napper.terminate();
  }
}
