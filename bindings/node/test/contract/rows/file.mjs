// @ts-check
import assert from "node:assert/strict";
import { chmod, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startActor } from "../../support/actor.mjs";
import { startSession } from "../../support/session.mjs";
import { improve, keep, rejection } from "../row.mjs";

keep("file load", "an absent file rejects with ENOENT", async (_, { ext, dir }) => {
  const persistence = new ext.FilePersistence(join(dir, "absent"));
  for (const method of ["load", "loadBuffer"]) {
    const error = await rejection(persistence[method]());
    assert.equal(error.name, "PersistenceError");
    assert.equal(error.errorCode, "ENOENT");
    assert.match(error.message, /^ENOENT: /);
  }
});

keep("file load", "an empty file is the empty string, and an empty Buffer", async (_, { ext, dir }) => {
  const persistence = await ext.FilePersistence.create(join(dir, "cache.json"));
  assert.equal(await persistence.load(), "");
  const bytes = await persistence.loadBuffer();
  assert.ok(Buffer.isBuffer(bytes));
  assert.equal(bytes.length, 0);
});

keep(
  "file load",
  "what was saved comes back: text of any script, NUL, five megabytes",
  async (_, { ext, dir }) => {
    const persistence = await ext.FilePersistence.create(join(dir, "cache.json"));
    for (const text of ['{"a":1}', "Zoë, 東京, 🔑", "a\0b", "x".repeat(5 << 20)]) {
      await persistence.save(text);
      assert.equal(await persistence.load(), text);
      assert.deepEqual(await persistence.loadBuffer(), Buffer.from(text));
    }
  },
);

keep("file save", "Uint8Array and Buffer are accepted by save and saveBuffer", async (_, { ext, dir }) => {
  const persistence = await ext.FilePersistence.create(join(dir, "cache.json"));
  const bytes = Uint8Array.of(0, 255, 10);
  for (const method of ["save", "saveBuffer"]) {
    for (const content of [bytes, Buffer.from(bytes), new Uint8Array(bytes.buffer, 1, 2)]) {
      await persistence[method](content);
      assert.deepEqual(await persistence.loadBuffer(), Buffer.from(content));
    }
  }
});

keep(
  "file save",
  "any other type is refused with ERR_INVALID_ARG_TYPE, and nothing is written",
  async (_, bench) => {
    const persistence = await bench.ext.FilePersistence.create(join(bench.dir, "cache.json"));
    await persistence.save("old");
    for (const content of [undefined, null, 5, true, {}]) {
      for (const method of ["save", "saveBuffer"]) {
        const error = await rejection(persistence[method](content));
        assert.equal(error.name, "PersistenceError");
        assert.equal(error.errorCode, "ERR_INVALID_ARG_TYPE");
      }
    }
    assert.equal(await persistence.load(), "old");
  },
);

keep("file save", "an existing file is tightened to 0600", async (_, { ext, dir }) => {
  const path = join(dir, "cache.json");
  const persistence = await ext.FilePersistence.create(path);
  await chmod(path, 0o644);
  await persistence.save("content");
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

keep(
  "delete()",
  "true when there was a file, false with a warning when there was none",
  async (_, { ext, dir }) => {
    /** @type {[number, string][]} */
    const logged = [];
    const loggerOptions = {
      loggerCallback: (/** @type {number} */ level, /** @type {string} */ text) => logged.push([level, text]),
    };
    const path = join(dir, "cache.json");
    for (const persistence of [
      await ext.FilePersistence.create(path, loggerOptions),
      await ext.FilePersistenceWithDataProtection.create(path, "CurrentUser", undefined, loggerOptions),
    ]) {
      await writeFile(path, "content");
      assert.equal(await persistence.delete(), true);
      await assert.rejects(readFile(path), { code: "ENOENT" });
      logged.length = 0;
      assert.equal(await persistence.delete(), false);
      assert.ok(
        logged.some(([level]) => level === 1),
        "a warning",
      );
    }
  },
);

/** A plugin in another process opens a write window and stays in it. @param {import("node:test").TestContext} t @param {string} path */
async function holdWindow(t, path) {
  const session = await startSession(t, "none");
  const holder = await startActor(t, session.env);
  await holder.run(
    async ({ ext, scene, path }) => {
      scene.plugin = new ext.PersistenceCachePlugin(await ext.FilePersistence.create(path));
      const tokenCache = { serialize: () => '{"Account":{}}', deserialize: () => {} };
      scene.context = { tokenCache, cacheHasChanged: true, hasChanged: true };
      await scene.plugin.beforeCacheAccess(scene.context);
    },
    { path },
  );
  return { holder, release: () => holder.run(({ scene }) => scene.plugin.afterCacheAccess(scene.context)) };
}

/** The longest time of a delete that does not wait, and the time for which one that waits is observed. */
const MOMENT_MS = 500;
const moment = () => new Promise((resolve) => setTimeout(() => resolve("still waiting"), MOMENT_MS));

improve("delete()", "waits for a writer in another process", {
  async original(t, { ext, dir }) {
    const path = join(dir, "cache.json");
    const persistence = await ext.FilePersistence.create(path);
    await holdWindow(t, path);
    assert.equal(await Promise.race([persistence.delete(), moment()]), true);
  },
  async ours(t, { ext, dir }) {
    const path = join(dir, "cache.json");
    const persistence = await ext.FilePersistence.create(path);
    const { release } = await holdWindow(t, path);
    const deleted = persistence.delete();
    assert.equal(await Promise.race([deleted, moment()]), "still waiting");
    await release();
    assert.equal(await deleted, true);
    await assert.rejects(readFile(path), { code: "ENOENT" });
  },
});

/**
 * Returns whether another process still uses a token in its memory after this process has deleted the cache.
 *
 * @param {import("node:test").TestContext} t
 * @param {import("../row.mjs").Bench} bench
 */
async function tokenAfterDelete(t, { ext, dir }) {
  const store = { kind: "FilePersistence", cachePath: join(dir, "cache.json") };
  const session = await startSession(t, "none");
  const first = await startActor(t, session.env);
  await first.run(
    async ({ tools, store }) =>
      tools.signInWithRefreshToken((await tools.open(store)).client, "ada@contoso.example"),
    { store },
  );
  // The original misses a change in the millisecond of its last check, which is another row.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const peer = await startActor(t, session.env);
  await peer.run(
    async ({ tools, scene, store }) => {
      Object.assign(scene, await tools.open(store));
      await tools.silently(scene.client, "ada@contoso.example");
      scene.account = await tools.accountNamed(scene.client, "ada@contoso.example");
    },
    { store },
  );
  await new ext.FilePersistence(store.cachePath).delete();
  return peer.run(({ tools, scene }) =>
    scene.client.acquireTokenSilent({ scopes: tools.SCOPES, account: scene.account }).then(
      () => "token",
      (/** @type {any} */ error) => error.errorCode,
    ),
  );
}

improve("delete()", "is seen by other processes: they hand out no token from a deleted cache", {
  original: async (t, bench) => assert.equal(await tokenAfterDelete(t, bench), "token"),
  ours: async (t, bench) => assert.equal(await tokenAfterDelete(t, bench), "no_tokens_found"),
});

keep(
  "reloadNecessary()",
  "true while the given time is before the file's, in whole milliseconds",
  async (_, bench) => {
    const path = join(bench.dir, "cache.json");
    const persistence = await bench.ext.FilePersistence.create(path);
    for (const seconds of [1_700_000_000, 1_700_000_000.1234, 1_700_000_000.1239]) {
      await utimes(path, seconds, seconds);
      // Node's own modification time as a Date, which rounds below a millisecond.
      const time = (await stat(path)).mtime.getTime();
      assert.equal(await persistence.reloadNecessary(time - 1), true);
      assert.equal(await persistence.reloadNecessary(time), false);
      assert.equal(await persistence.reloadNecessary(time + 1), false);
    }
    assert.equal(await persistence.reloadNecessary(0), true);
  },
);

keep("reloadNecessary()", "false for an absent file", async (_, { ext, dir }) => {
  const persistence = new ext.FilePersistence(join(dir, "absent"));
  assert.equal(await persistence.reloadNecessary(0), false);
});
