// @ts-check
/**
 * Processes without the addon beside processes with it, on one cache file: nobody loses anything, nobody is inside
 * together with somebody else, and a holder that was killed is got over.
 */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { startActor } from "../support/actor.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { startSession } from "../support/session.mjs";

const OF_EACH = 25;
const MEMORY = new URL("../plugin/memory.mjs", import.meta.url).href;

/** What hides the addon from a process. */
const WITHOUT = { TOKENKEEP_NATIVE_PATH: "none" };

/**
 * Processes with and without the addon, each with a plugin on one file.
 *
 * @param {import("node:test").TestContext} t
 * @param {("with" | "without")[]} kinds
 */
async function cast(t, kinds) {
  const path = join(await scratchDirectory(t), "cache.json");
  const session = await startSession(t, "none");
  const actors = await Promise.all(
    kinds.map(async (kind, index) => {
      const env = kind === "without" ? { ...session.env, ...WITHOUT } : session.env;
      const actor = await startActor(t, env);
      await actor.run(
        async ({ ext, scene, path, memory, name }) => {
          const { change, Memory } = await import(memory);
          scene.plugin = new ext.PersistenceCachePlugin(await ext.FilePersistence.create(path));
          Object.assign(scene, { change, Memory, name });
        },
        { path, memory: MEMORY, name: `${kind}${index}` },
      );
      return actor;
    }),
  );
  return { path, actors };
}

/** Signs people in, each under the lock, and counts who else was inside. */
async function signIn(/** @type {any} */ { scene, path, count }) {
  const { linkSync, unlinkSync } = process.getBuiltinModule("node:fs");
  let overlaps = 0;
  for (let index = 0; index < count; index += 1) {
    const memory = new scene.Memory();
    const context = { tokenCache: memory, cacheHasChanged: true };
    await scene.plugin.beforeCacheAccess(context);
    let witnessed = true;
    try {
      linkSync(path, `${path}.witness`);
    } catch (error) {
      // Before the first write there is nothing to link to.
      witnessed = false;
      overlaps += /** @type {any} */ (error).code === "EEXIST" ? 1 : 0;
    }
    memory.signIn(`${scene.name}-${index}`);
    if (witnessed) {
      unlinkSync(`${path}.witness`);
    }
    await scene.plugin.afterCacheAccess(context);
  }
  return overlaps;
}

for (const kinds of /** @type {("with" | "without")[][]} */ ([
  ["without", "without", "without", "without"],
  ["without", "with", "without", "with"],
])) {
  test(`four processes (${kinds.join(", ")} the addon) write at once: none is lost, none overlap`, async (t) => {
    const { path, actors } = await cast(t, kinds);
    const overlaps = await Promise.all(actors.map((actor) => actor.run(signIn, { path, count: OF_EACH })));
    assert.deepEqual(overlaps, [0, 0, 0, 0]);
    const cache = JSON.parse(await readFile(path, "utf8"));
    assert.equal(Object.keys(cache.Account).length, kinds.length * OF_EACH);
    assert.equal(Object.keys(cache.RefreshToken).length, kinds.length * OF_EACH);
    const left = await readdir(join(path, ".."));
    assert.deepEqual(
      left.filter((name) => name !== "cache.json" && name !== "cache.json.tk-lock"),
      [],
    );
  });
}

/** Long enough for a dead owner's file to settle, twice, on a busy machine. */
const RECOVERY_MS = 15_000;

for (const [killed, heir] of /** @type {const} */ ([
  ["without", "without"],
  ["without", "with"],
  ["with", "without"],
])) {
  test(`a holder ${killed} the addon is killed: one ${heir} it goes on, and keeps what was there`, async (t) => {
    const { path, actors } = await cast(t, [killed, heir]);
    const [first, second] = actors;
    assert.ok(first && second);
    assert.equal(await first.run(signIn, { path, count: 2 }), 0);
    await first.run(async ({ scene }) => {
      await scene.plugin.beforeCacheAccess({ tokenCache: new scene.Memory(), cacheHasChanged: true });
    });
    await first.kill();
    const start = performance.now();
    assert.equal(await second.run(signIn, { path, count: 1 }), 0);
    const took = performance.now() - start;
    t.diagnostic(`after ${Math.round(took)} ms`);
    assert.ok(took < RECOVERY_MS, `${took} ms`);
    assert.equal(Object.keys(JSON.parse(await readFile(path, "utf8")).Account).length, 3);
  });
}

test("a living holder without the addon is respected by one with it, and the other way round", async (t) => {
  for (const kinds of /** @type {("with" | "without")[][]} */ ([
    ["without", "with"],
    ["with", "without"],
  ])) {
    const { path, actors } = await cast(t, kinds);
    const [holder, other] = actors;
    assert.ok(holder && other);
    await holder.run(async ({ scene }) => {
      scene.context = { tokenCache: new scene.Memory(), cacheHasChanged: true };
      await scene.plugin.beforeCacheAccess(scene.context);
      setTimeout(() => scene.plugin.afterCacheAccess(scene.context), 3_000);
    });
    const start = performance.now();
    await other.run(signIn, { path, count: 1 });
    assert.ok(performance.now() - start > 1_500, "it did not wait");
  }
});
