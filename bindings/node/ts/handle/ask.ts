// Asking a program for its passphrase: with a deadline, and without a word of what it answers.
import { clearTimeout, setTimeout } from "../clock";
import { nameOf, PersistenceError } from "../error";

/** Asks the program for its passphrase. */
export type AskForPassphrase = () => Promise<string>;

/**
 * What `ask` gives within `limit` milliseconds.
 *
 * @throws PersistenceError `MissingKeyError` with the `code` `passphrase_failed` (what `ask` threw is the `cause`),
 * `passphrase_timeout`, or `missing_key` where it gave nothing.
 */
export async function askWithin(ask: () => string | Promise<string>, limit: number): Promise<string> {
  let late: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    late = setTimeout(
      () => reject(withoutPassphrase("passphrase_timeout", `nobody gave it within ${limit} ms`)),
      limit,
    );
  });
  try {
    const answer: unknown = await Promise.race([answerOf(ask), deadline]);
    if (typeof answer === "string" && answer !== "") {
      return answer;
    }
    const what = answer === "" ? "an empty one" : `${answer === null ? "null" : `a ${typeof answer}`}`;
    throw withoutPassphrase("missing_key", `the program gave ${what}`);
  } finally {
    clearTimeout(late);
  }
}

async function answerOf(ask: () => string | Promise<string>): Promise<string> {
  try {
    return await ask();
  } catch (cause) {
    // The name only: the message may quote the passphrase.
    throw withoutPassphrase(
      "passphrase_failed",
      `asking the program for it failed (${nameOf(cause)})`,
      cause,
    );
  }
}

function withoutPassphrase(code: string, why: string, cause?: unknown): PersistenceError {
  return new PersistenceError(
    "MissingKeyError",
    `The passphrase of the encrypted cache is missing: ${why}. ` +
      "Give the passphrase that the cache was encrypted with; nothing was written",
    { code, cause },
  );
}
