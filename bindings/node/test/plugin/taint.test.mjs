// @ts-check
/**
 * The taint search: a program uses every entrance on caches that hold a marked token and are damaged in many ways. No piece of
 * the token is in any message, log, event, output, file beside the caches, argument, or variable.
 */
import assert from "node:assert/strict";
import { readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { run } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { imported } from "../support/subject.mjs";
import { change, contextOf, list, Memory } from "./memory.mjs";

/** Each piece of six letters is unlike every word of the package and of Node. */
const LETTERS = "qzJwXvKyQjZxVkWq7Yq9Zj4XwQ8vKzJq3Xy5Wv2Qk6Zw0Jx1VqYzKjXw";
const marked = (/** @type {string} */ name) => `${name}.${LETTERS}`;

/** @param {string} text @returns {string | undefined} */
function pieceIn(text) {
  for (let at = 0; at + 6 <= LETTERS.length; at += 1) {
    const piece = LETTERS.slice(at, at + 6);
    if (text.includes(piece)) {
      return `${piece} in ${text.slice(0, 2000)}`;
    }
  }
  return undefined;
}

/** A cache, and ways in which it is damaged. @returns {Buffer[]} */
function caches() {
  const memory = new Memory();
  memory.signIn("ada");
  for (const entry of Object.values(memory.entries)) {
    entry.secret = marked("secret");
  }
  const whole = memory.serialize();
  const at = whole.indexOf(LETTERS);
  const cut = [at, at + 3, at + 20, whole.length - 3].map((end) => whole.slice(0, end));
  const broken = ['"', "\\", "\n", "\\u12", "\ud800", "}", "\0", "'"].map(
    (what) => whole.slice(0, at + 9) + what + whole.slice(at + 9),
  );
  const odd = [
    whole.replace(`"${marked("secret")}"`, marked("secret")),
    `${whole}${LETTERS}`,
    LETTERS,
    `[${JSON.stringify(LETTERS)}]`,
    JSON.stringify({ Account: { a: LETTERS }, RefreshToken: LETTERS }),
    JSON.stringify({ [LETTERS]: { a: { secret: LETTERS } } }),
    `{"RefreshToken":{"${LETTERS}":${"[".repeat(3000)}`,
  ];
  const bytes = Buffer.from(whole);
  bytes[at + 5] = 0xff;
  return [...[whole, ...cut, ...broken, ...odd].map((text) => Buffer.from(text)), bytes];
}

/** The program that is searched. @param {string} directory */
async function program(directory) {
  const {
    FilePersistence,
    EncryptedFilePersistence,
    MemoryPersistence,
    PersistenceCachePlugin,
    migrate,
    PersistenceCreator,
  } = await imported();
  /** @type {string[]} */
  const said = [];
  const note = (/** @type {unknown} */ value) => {
    const error = /** @type {any} */ (value);
    said.push(
      inspect(value, { depth: 8, showHidden: true }),
      `${error?.message} ${error?.stack} ${JSON.stringify(value)}`,
    );
    if (error?.cause) {
      said.push(inspect(error.cause, { showHidden: true }), String(error.cause?.message));
    }
  };
  const logger = {
    loggerCallback: (/** @type {unknown} */ level, /** @type {string} */ text) =>
      said.push(`${level} ${text}`),
    piiLoggingEnabled: true,
    logLevel: 4,
  };
  const attempt = async (/** @type {() => unknown} */ call) => {
    try {
      const result = await call();
      // Content that a program asked for is its own.
      if (typeof result !== "string" && !Buffer.isBuffer(result)) {
        note(result);
      }
    } catch (error) {
      note(error);
    }
  };
  const key = { type: "passphrase", passphrase: marked("words") };
  for (const [number, content] of caches().entries()) {
    const path = join(directory, `cache-${number}.json`);
    const reset = async () => {
      await writeFile(path, content, { mode: 0o600 });
      // Fresh content would be taken for a write in progress.
      await utimes(path, 1_700_000_000, 1_700_000_000);
    };
    await reset();
    const file = await FilePersistence.create(path, logger);
    for (const onDamage of ["fail", "setAside"]) {
      const plugin = new PersistenceCachePlugin(file, { timeout: 2000 }, { onEvent: note, onDamage });
      note(file);
      note(plugin);
      await attempt(() => file.load());
      await attempt(() => file.loadBuffer());
      await attempt(() => list(plugin, new Memory()));
      await attempt(async () => (await plugin.watch(() => {}, { checkEvery: 5000 })).close());
      const late = new Memory();
      late.signIn("bob");
      await attempt(() => plugin.afterCacheAccess(contextOf(late, true)));
      await reset();
      await attempt(() => change(plugin, new Memory(), (memory) => memory.signIn("bob")));
      await reset();
    }
    const own = {
      save: async () => {},
      load: async () => content.toString("utf8"),
      delete: async () => false,
      reloadNecessary: async () => true,
      getFilePath: () => `${path}.own`,
      getLogger: () => file.getLogger(),
    };
    const plugin = new PersistenceCachePlugin(own, { timeout: 2000 }, { onEvent: note });
    await attempt(() => list(plugin, new Memory()));
    await attempt(() => change(plugin, new Memory(), (memory) => memory.signIn("bob")));
    await attempt(async () => (await plugin.watch(() => {})).close());
    const configuration = {
      cachePath: path,
      serviceName: "taint",
      accountName: "taint",
      loggerOptions: logger,
      fallback: [{ type: "encryptedFile", key }],
    };
    if (number % 5 === 0) {
      await attempt(() => PersistenceCreator.createPersistence(configuration));
    }
    await reset();
    await attempt(async () => (await MemoryPersistence.create(logger)).save(content));
    // Each of these derives a key, which takes a tenth of a second.
    if (number % 5 !== 0) {
      continue;
    }
    const to = join(directory, `to-${number}.bin`);
    await attempt(async () => migrate(file, await EncryptedFilePersistence.create(to, key, logger)));
    await attempt(async () => migrate(await EncryptedFilePersistence.create(to, key, logger), file));
    await attempt(async () =>
      (await EncryptedFilePersistence.create(to, { ...key, passphrase: marked("other") })).load(),
    );
    await attempt(async () => (await EncryptedFilePersistence.create(path, key, logger)).load());
  }
  for (const text of said) {
    const piece = pieceIn(text);
    if (piece !== undefined) {
      throw new Error(`a message quotes content: ${Buffer.from(piece).toString("base64")}`);
    }
  }
  // What other programs can see of this one.
  for (const name of ["cmdline", "environ", "comm"]) {
    assert.equal(pieceIn(await readFile(`/proc/self/${name}`, "latin1")), undefined, name);
  }
  console.log(`${said.length} messages`);
}

if (process.env.TOKENKEEP_TAINT) {
  await program(process.env.TOKENKEEP_TAINT);
} else {
  test("no piece of a token leaves by a message, a log, an output, or a file that is no cache", async (t) => {
    const [directory, home] = [await scratchDirectory(t), await scratchDirectory(t)];
    const env = {
      PATH: process.env.PATH,
      HOME: home,
      TMPDIR: home,
      XDG_RUNTIME_DIR: home,
      NODE_DEBUG: "tokenkeep",
      TOKENKEEP_TAINT: directory,
    };
    const { stdout, stderr, code } = await run(process.execPath, [fileURLToPath(import.meta.url)], {
      cwd: home,
      env,
    });
    assert.equal(code, 0, stderr);
    const messages = Number(/(\d+) messages/.exec(stdout)?.[1]);
    assert.ok(messages > 400, stdout);
    assert.equal(pieceIn(stdout + stderr), undefined);
    assert.match(stderr, /^TOKENKEEP \d+: /m, "the log is among what is searched");
    for (const place of [directory, home]) {
      for (const name of await readdir(place, { recursive: true })) {
        const isCache = /^cache-\d+\.json(\.corrupt-[0-9a-f]+)?$/.test(name);
        const content = isCache ? "" : await readFile(join(place, name), "latin1").catch(() => "");
        assert.equal(pieceIn(content + name), undefined, name);
      }
    }
  });
}
