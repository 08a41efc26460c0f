// @ts-check
/**
 * The frame of every measured program: one specification in, one result out, both JSON.
 */

/** @returns {any} the specification, from the first argument */
export function specification() {
  return JSON.parse(process.argv[2] ?? "");
}

/** @param {unknown} result */
export function tell(result) {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** @param {number} ms */
export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Returns the milliseconds that `work` took.
 *
 * @param {() => unknown} work
 */
export async function timed(work) {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
