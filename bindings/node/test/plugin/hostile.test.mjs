// @ts-check
/** Hostile content, paths and files, through the plugin and the persistence. The core has more such tests. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { startActor } from "../support/actor.mjs";
import { timed } from "../support/clock.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { startSession } from "../support/session.mjs";
import { imported } from "../support/subject.mjs";
import { change, list, Memory, namesIn } from "./memory.mjs";

const { FilePersistence, PersistenceCachePlugin, PersistenceError } = await imported();
const NOBODY = 65_534;

/** @param {string} path */
const pluginAt = (path) =>
  new PersistenceCachePlugin(new FilePersistence(path), { retryNumber: 40, retryDelay: 50 });

describe("content", () => {
  test("truncated after any byte: never taken for a smaller cache, and the copy is whole", async (t) => {
    const path = join(await scratchDirectory(t), "cache.json");
    const memory = new Memory();
    memory.signIn('Zoë "東京"');
    const whole = Buffer.from(memory.serialize());
    const plugin = new PersistenceCachePlugin(new FilePersistence(path, undefined, { durability: "cached" }));
    const client = new Memory();
    for (let end = 0; end < whole.length; end++) {
      await writeFile(path, whole.subarray(0, end));
      // Fresh content would be taken for a write in progress.
      await utimes(path, 1_700_000_000, 1_700_000_000);
      assert.deepEqual(await list(plugin, new Memory()), [], `cut at ${end}`);
      await change(plugin, client, (one) => one.signIn("bob"));
      assert.deepEqual(namesIn(await readFile(path, "utf8")), ["bob"], `cut at ${end}`);
      const copies = (await readdir(dirname(path))).filter((name) => name.includes(".corrupt-"));
      assert.equal(copies.length, end === 0 ? 0 : 1, `cut at ${end}`);
      for (const copy of copies) {
        assert.deepEqual(await readFile(join(dirname(path), copy)), whole.subarray(0, end), `cut at ${end}`);
        await rm(join(dirname(path), copy));
      }
    }
    await writeFile(path, whole);
    await change(plugin, new Memory(), (one) => one.signIn("bob"));
    assert.deepEqual(namesIn(await readFile(path, "utf8")), ['Zoë "東京"', "bob"]);
  });

  test("nested a hundred thousand deep, in an unknown section: kept as it is", async (t) => {
    const path = join(await scratchDirectory(t), "cache.json");
    const deep = `"Unknown":{"deep":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    await writeFile(path, `{${deep}}`);
    await change(pluginAt(path), new Memory(), (one) => one.signIn("bob"));
    const stored = await readFile(path, "utf8");
    assert.ok(stored.includes(deep) && stored.includes("secret of bob"));
  });

  test("a duplicate key: the last one counts, as for JSON.parse", async (t) => {
    const path = join(await scratchDirectory(t), "cache.json");
    await writeFile(path, '{"Account":{"a":{"username":"first"},"a":{"username":"last"}}}');
    const plugin = pluginAt(path);
    assert.deepEqual(await list(plugin, new Memory()), ["last"]);
    await change(plugin, new Memory(), (one) => one.signIn("bob"));
    assert.deepEqual(namesIn(await readFile(path, "utf8")), ["bob", "last"]);
  });

  test("a cache of more than sixty-four megabytes takes another sign-in", { timeout: 120_000 }, async (t) => {
    const path = join(await scratchDirectory(t), "cache.json");
    const padding = "x".repeat(64 << 20);
    await writeFile(path, JSON.stringify({ Unknown: { padding } }));
    await change(pluginAt(path), new Memory(), (one) => one.signIn("bob"));
    const stored = JSON.parse(await readFile(path, "utf8"));
    assert.equal(stored.Unknown.padding.length, padding.length);
    assert.deepEqual(namesIn(JSON.stringify({ Account: stored.Account })), ["bob"]);
  });
});

describe("paths", () => {
  for (const name of [
    "with spaces",
    "new\nline",
    "Süß-東京-🔑",
    "-rf",
    "'quotes\" $(echo)",
    "n".repeat(246),
  ]) {
    test(`${JSON.stringify(name.slice(0, 20))} works`, async (t) => {
      const path = join(await scratchDirectory(t), name, name);
      await change(pluginAt(path), new Memory(), (one) => one.signIn("ada"));
      assert.deepEqual(await list(pluginAt(path), new Memory()), ["ada"]);
      assert.deepEqual((await readdir(dirname(path))).sort(), [name, `${name}.tk-lock`]);
    });
  }

  test("names with no room for the lock beside them, and paths beyond the system's limit, are refused", async (t) => {
    const directory = await scratchDirectory(t);
    const deep = join(directory, ...Array.from({ length: 30 }, () => "d".repeat(200)), "cache");
    for (const path of [join(directory, "n".repeat(247)), join(directory, "n".repeat(255)), deep]) {
      await refusedEverywhere(path, "ERR_INVALID_ARG_VALUE|ENAMETOOLONG");
    }
    assert.deepEqual(await readdir(directory), [], "nothing was created");
  });
});

describe("other file types at the cache path", () => {
  /** @type {Record<string, (path: string, t: import("node:test").TestContext) => unknown>} */
  const planted = {
    "a directory": (path) => mkdir(path),
    "a pipe": (path) => execFileSync("mkfifo", [path]),
    "a socket": (path, t) =>
      new Promise((resolve) => {
        const server = createServer().listen(path, () => resolve(undefined));
        t.after(() => server.close());
      }),
    "a link to itself": (path) => symlink("cache.json", path),
    "a link to a file that others may write": async (path) => {
      await writeFile(`${path}.open`, "{}");
      await chmod(`${path}.open`, 0o666);
      await symlink("cache.json.open", path);
    },
  };
  for (const [what, plant] of Object.entries(planted)) {
    test(`${what} is refused at once and not changed`, async (t) => {
      const path = join(await scratchDirectory(t), "cache.json");
      await plant(path, t);
      const before = await lstat(path);
      const { naps } = await timed(() => refusedEverywhere(path, "UnsafeFileError|EISDIR|ELOOP|ENXIO"));
      assert.ok(naps < 10_000, "a pipe that is opened for reading waits for ever");
      const after = await lstat(path);
      assert.deepEqual([after.ino, after.mode, after.size], [before.ino, before.mode, before.size]);
    });
  }

  const onlyOnLinux = { skip: process.platform !== "linux" && "a session of its own exists only on Linux" };

  test("in a read-only directory a user reads, and a write is a clear error", onlyOnLinux, async (t) => {
    const session = await startSession(t, "none");
    const directory = join(session.home, "read-only");
    const path = join(directory, "cache.json");
    const memory = new Memory();
    memory.signIn("ada");
    await mkdir(directory);
    await writeFile(path, memory.serialize(), { mode: 0o600 });
    const asRoot = process.getuid?.() === 0;
    if (asRoot) {
      await chmod(session.home, 0o755);
      await chown(path, NOBODY, NOBODY);
    }
    await chmod(directory, 0o555);
    const actor = await startActor(t, session.env);
    const working = actor.run(
      async ({ ext, path, nobody }) => {
        if (nobody) {
          // Load the parts needed at the first use, before the process gives up the right to read them.
          await new ext.FilePersistence(`${path}.absent`).load().catch(() => {});
          process.setgroups?.([]);
          process.setgid?.(nobody);
          process.setuid?.(nobody);
        }
        const persistence = new ext.FilePersistence(path);
        const content = await persistence.load();
        const failure = await persistence.save("{}").catch((/** @type {unknown} */ error) => error);
        return { content, errorCode: failure?.errorCode, message: failure?.message };
      },
      { path, nobody: asRoot ? NOBODY : 0 },
    );
    // So that its creator can remove the directory.
    const seen = await working.finally(() => chmod(directory, 0o755));
    assert.equal(seen.content, memory.serialize());
    assert.match(seen.errorCode, /^(EACCES|CrossPlatformLockError)$/);
    assert.match(seen.message, /read-only/);
    assert.deepEqual(await readdir(directory), ["cache.json"]);
  });
});

/** Checks that every operation rejects with a PersistenceError of one of these codes. @param {string} path @param {string} codes */
async function refusedEverywhere(path, codes) {
  const persistence = () => new FilePersistence(path);
  const ways = {
    create: () => FilePersistence.create(path),
    load: () => persistence().load(),
    save: () => persistence().save("{}"),
    read: () => list(pluginAt(path), new Memory()),
    write: () => change(pluginAt(path), new Memory(), (one) => one.signIn("bob")),
  };
  for (const [way, go] of Object.entries(ways)) {
    await assert.rejects(
      async () => go(),
      (/** @type {any} */ error) => {
        assert.ok(error instanceof PersistenceError, `${way}: ${error}`);
        assert.match(error.errorCode, new RegExp(`^(${codes})$`), `${way}: ${error}`);
        return true;
      },
      way,
    );
  }
}
