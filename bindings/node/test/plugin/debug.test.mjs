// @ts-check
/** `NODE_DEBUG=tokenkeep`: what a program's logger would hear, on the standard error. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { required, subject } from "../support/subject.mjs";

for (const [debugged, expected] of /** @type {[string, RegExp][]} */ ([
  ["tokenkeep", /^TOKENKEEP \d+: Info - Cache file at .*cache\.json is ready$/m],
  ["other", /^$/],
])) {
  test(`NODE_DEBUG=${debugged} in a program without a logger`, async (t) => {
    assert.ok(required());
    const path = join(await scratchDirectory(t), "cache.json");
    const program = `import("${subject}").then(({ FilePersistence }) => FilePersistence.create(${JSON.stringify(path)}));`;
    const cwd = new URL("..", import.meta.url).pathname;
    const env = { ...process.env, NODE_DEBUG: debugged };
    const { stdout, stderr, code } = await run(process.execPath, ["-e", program], { cwd, env });
    assert.deepEqual([stdout, code], ["", 0]);
    assert.match(stderr, expected);
  });
}
