// @ts-check
/**
 * Prints the demo's output and counts the expectations that were met and not met.
 */
const colourful = process.stdout.isTTY && !process.env.NO_COLOR;

/** @param {number} code @param {string} text */
const paint = (code, text) => (colourful ? `\u001b[${code}m${text}\u001b[0m` : text);

let met = 0;
let failed = 0;

/** @param {string} text */
export const heading = (text) => console.log(`\n${paint(1, text)}`);

/** @param {string} text */
export const note = (text) => console.log(`    ${paint(2, text)}`);

/**
 * Prints a fact for the reader.
 *
 * @param {string} name
 * @param {unknown} value
 */
export const fact = (name, value) => console.log(`    ${name.padEnd(16)}${value}`);

/**
 * Prints an expectation and whether it holds. One that does not hold makes the demo fail.
 *
 * @param {string} sentence
 * @param {boolean} holds
 * @param {string} [otherwise] what was seen instead
 */
export function expect(sentence, holds, otherwise = "") {
  if (holds) {
    met += 1;
    console.log(`  ${paint(32, "✓")} ${sentence}`);
  } else {
    failed += 1;
    console.log(`  ${paint(31, "✗")} ${sentence}${otherwise ? `: ${otherwise}` : ""}`);
  }
}

/** Prints the counts and returns the exit code. */
export function verdict() {
  const sum =
    failed === 0 ? `${met} of ${met} expectations met` : `${failed} of ${met + failed} expectations failed`;
  console.log(`\n${paint(failed === 0 ? 32 : 31, sum)}\n`);
  return failed === 0 ? 0 : 1;
}
