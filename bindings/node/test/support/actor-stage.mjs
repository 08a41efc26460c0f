// @ts-check
/**
 * The other side of `actor.mjs`: receives functions, runs them one at a time as they come, and reports.
 */
import * as msal from "@azure/msal-node";
import * as tools from "./client.mjs";
import { imported } from "./subject.mjs";

const ext = await imported();

/** What the actor remembers from one function to the next. */
const scene = {};

/** @param {any} thrown */
function report(thrown) {
  if (!(thrown instanceof Error)) {
    return { name: typeof thrown, message: String(thrown), stack: "", fields: {} };
  }
  const fields = Object.entries(thrown).filter(([, value]) =>
    ["string", "number", "boolean"].includes(typeof value),
  );
  // The constructor's name, not `error.name`: some packages forget to set the latter.
  const name = thrown.constructor.name === "Error" ? thrown.name : thrown.constructor.name;
  return { name, message: thrown.message, stack: thrown.stack ?? "", fields: Object.fromEntries(fields) };
}

/** @param {any} answer */
const send = (answer) => process.send?.(answer);

process.on("message", async (/** @type {any} */ { id, play, props }) => {
  try {
    // Only ever source text of the test file that started this process.
    const run = new Function(`return (${play});`)();
    send({ id, value: await run({ ext, msal, tools, scene, ...props }) });
  } catch (thrown) {
    send({ id, error: report(thrown) });
  }
});
// The test has gone, or has no more use for this process.
process.on("disconnect", () => process.exit(0));
