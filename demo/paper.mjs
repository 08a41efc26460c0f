// @ts-check
/**
 * What the demo prints, and its count of expectations met and failed.
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
 * A fact the reader may want to see.
 *
 * @param {string} name
 * @param {unknown} value
 */
export const fact = (name, value) => console.log(`    ${name.padEnd(16)}${value}`);

/**
 * Something that has to be so. Printed either way; one that is not makes the demo fail.
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

/** Prints the sum and returns the exit code. */
export function verdict() {
  const sum =
    failed === 0 ? `${met} of ${met} expectations met` : `${failed} of ${met + failed} expectations failed`;
  console.log(`\n${paint(failed === 0 ? 32 : 31, sum)}\n`);
  return failed === 0 ? 0 : 1;
}
