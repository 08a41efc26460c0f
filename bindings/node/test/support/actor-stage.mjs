// @ts-check
/**
 * The process of `actor.mjs`: receives functions, runs them one at a time in order, and reports the results.
 */
import * as msal from "@azure/msal-node";
import * as tools from "./client.mjs";
import { timed } from "./clock.mjs";
import { imported } from "./subject.mjs";

const ext = await imported();

/** The state that the actor keeps between functions. */
const scene = {};

/** @param {any} thrown */
function report(thrown) {
  if (!(thrown instanceof Error)) {
    return { name: typeof thrown, message: String(thrown), stack: "", fields: {} };
  }
  const fields = Object.entries(thrown).filter(([, value]) =>
    ["string", "number", "boolean"].includes(typeof value),
  );
  // Use the constructor's name instead of `error.name`, because some packages do not set the latter.
  const name = thrown.constructor.name === "Error" ? thrown.name : thrown.constructor.name;
  return { name, message: thrown.message, stack: thrown.stack ?? "", fields: Object.fromEntries(fields) };
}

/** @param {any} answer */
const send = (answer) => process.send?.(answer);

process.on("message", async (/** @type {any} */ { id, play, props }) => {
  try {
    // The source text of the test file that started this process, and nothing else.
    const run = new Function(`return (${play});`)();
    send({ id, value: await run({ ext, msal, tools, timed, scene, ...props }) });
  } catch (thrown) {
    send({ id, error: report(thrown) });
  }
});
// The test has ended, or does not need this process any more.
process.on("disconnect", () => process.exit(0));
