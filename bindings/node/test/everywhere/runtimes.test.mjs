// @ts-check
/** The packed package in every runtime, installed by npm: the example of the document signs in and stays signed in. */
import { after, before, test } from "node:test";
import { install } from "../packages/project.mjs";
import { DEPENDENCIES, signsInAndStays, writeExample } from "./example.mjs";
import { tool } from "./runtimes.mjs";

/** @type {(() => unknown)[]} */
const ends = [];
/** @type {string} */
let folder;

before(async () => {
  const scope = { after: (/** @type {() => unknown} */ end) => void ends.unshift(end) };
  ({ folder } = await install(scope, { dependencies: DEPENDENCIES, type: "module" }));
  await writeExample(folder);
});

after(async () => {
  for (const end of ends) {
    await end();
  }
});

for (const name of /** @type {const} */ (["Node.js 20", "Node.js 22", "Node.js 24", "Bun"])) {
  test(`${name} runs the example`, async (t) => {
    await signsInAndStays(t, [await tool(name), "main.mjs"], folder);
  });
}

test("Deno runs the example", async (t) => {
  await signsInAndStays(t, [await tool("Deno"), "run", "--allow-all", "--no-lock", "main.mjs"], folder);
});
