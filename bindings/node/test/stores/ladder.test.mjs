// @ts-check
/**
 * The store that a program gets: in every kind of session, with every fallback and the real msal-node, and never an
 * unconfigured one.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { rejection } from "../contract/row.mjs";
import { startActor } from "../support/actor.mjs";
import { startSession } from "../support/session.mjs";
import { subject } from "../support/subject.mjs";
import { kernelKeyName, keyFile, MAGIC, PASSPHRASE } from "./keys.mjs";

/** The default deadline of one keyring call is 5 s; no fallback takes longer than the keyring. */
const SOON_MS = 15_000;
const SECCOMP = fileURLToPath(
  new URL("../../../../crates/tokenkeep/tests/sealed/seccomp.py", import.meta.url),
);

/** Creates a persistence; returns its properties, or those of the error. */
const create = async (/** @type {any} */ { ext, tools, timed, scene, store }) => {
  /** @type {[number, string][]} */
  const log = [];
  const loggerOptions = {
    loggerCallback: (/** @type {number} */ level, /** @type {string} */ text) => log.push([level, text]),
  };
  const { result, naps: ms } = await timed(() =>
    tools.createPersistence({ ...store, loggerOptions }).then(
      (/** @type {any} */ persistence) => ({ persistence }),
      (/** @type {any} */ error) => ({ error }),
    ),
  );
  if (result.error) {
    const { errorCode, code, errorMessage, cause } = result.error;
    const causes = cause instanceof AggregateError ? cause.errors.map((one) => one.constructor.name) : [];
    const ours = result.error instanceof ext.PersistenceError;
    return { errorCode, code, errorMessage, causes, ours, ms };
  }
  scene.persistence = result.persistence;
  const warnings = log.filter(([level]) => level === 1).map(([, text]) => text);
  const info = await scene.persistence.info();
  return { name: scene.persistence.constructor.name, info, warnings, ms };
};

/** Signs an account in over the created persistence; a second client sees it. */
const signIn = async (/** @type {any} */ { ext, tools, scene, user }) => {
  const client = () =>
    tools.createClient(new ext.PersistenceCachePlugin(scene.persistence), new tools.SignInService());
  await tools.signInWithDeviceCode(client(), user);
  return tools.usernames(client());
};

/** @param {import("../support/session.mjs").Session} session @param {object[]} fallback @param {object} [more] */
const storeWith = (session, fallback, more = {}) => ({
  kind: /** @type {const} */ ("PersistenceCreator"),
  cachePath: join(session.home, "app", "cache.json"),
  fallback,
  ...more,
});

/** The error of the platform's store in each kind of session, and its message. */
const FAILURES = /** @type {const} */ ([
  ["none", "store_unavailable", /bus/],
  ["dead", "store_unavailable", /Connection refused/],
  ["no-service", "store_unavailable", /Install/],
  ["locked", "store_locked", /Unlock the keyring/],
  ["mute", "store_timeout", /did not answer/],
  ["silent", "store_timeout", /did not answer/],
  ["frozen", "store_timeout", /did not answer/],
]);

for (const [kind, code, words] of FAILURES) {
  test(`session "${kind}": fails with a typed error in time, and falls back only if configured, with a warning`, async (t) => {
    const session = await startSession(t, kind);
    const actor = await startActor(t, session.env);
    const key = { type: "keyFile", path: await keyFile(session.home) };
    const unasked = await actor.run(create, { store: storeWith(session, []) });
    assert.ok(unasked.ms < SOON_MS, `${unasked.ms} ms`);
    assert.deepEqual([unasked.ours, unasked.errorCode, unasked.code], [true, "CachePersistenceError", code]);
    assert.match(unasked.errorMessage, words);

    const store = storeWith(session, [{ type: "encryptedFile", key }]);
    const got = await actor.run(create, { store });
    assert.ok(got.ms < SOON_MS, `${got.ms} ms`);
    assert.equal(got.name, "EncryptedFilePersistence");
    assert.equal(got.info.protection, "keyFile");
    assert.equal(got.warnings.length, 1);
    assert.match(got.warnings[0], words);
    assert.match(
      got.warnings[0],
      /kept in an encrypted file, with the key file .* because the Secret Service: /,
    );
    assert.deepEqual(await actor.run(signIn, { user: "ada@contoso.example" }), ["ada@contoso.example"]);
    const bytes = await readFile(store.cachePath);
    assert.deepEqual(bytes.subarray(0, 8), MAGIC);
  });
}

test("no bus and no socket of a bus: an error at once", async (t) => {
  for (const kind of /** @type {const} */ (["none", "dead"])) {
    const session = await startSession(t, kind);
    const actor = await startActor(t, session.env);
    await actor.run(create, { store: storeWith(session, []) });
    const times = [];
    for (let round = 0; round < 5; round += 1) {
      times.push((await actor.run(create, { store: storeWith(session, []) })).ms);
    }
    // 50 ms are promised. The shortest of five shows whether an operation waits by itself.
    assert.ok(Math.min(...times) < 50, `${kind}: ${times}`);
  }
});

test("the keyring is killed during a call: an error long before the deadline", async (t) => {
  const session = await startSession(t, "frozen");
  const actor = await startActor(t, session.env);
  const asked = actor.run(create, { store: storeWith(session, []) });
  await new Promise((resolve) => setTimeout(resolve, 700));
  await session.killKeyring();
  const got = await asked;
  assert.equal(got.errorCode, "CachePersistenceError");
  assert.match(got.code, /^store_(unavailable|failed)$/);
  assert.ok(got.ms < 4_500, `${got.ms} ms`);
});

test("with a working keyring no fallback is used, opened or mentioned", async (t) => {
  const session = await startSession(t);
  const actor = await startActor(t, session.env);
  const fallback = [
    { type: "encryptedFile", key: { type: "keyFile", path: "/nowhere" } },
    { type: "plaintextFile" },
  ];
  const got = await actor.run(create, { store: storeWith(session, fallback) });
  assert.equal(got.name, "LibSecretPersistence");
  assert.deepEqual(got.warnings, []);
  assert.equal(got.info.protection, "osUser");
  assert.deepEqual(await actor.run(signIn, { user: "ada@contoso.example" }), ["ada@contoso.example"]);
});

describe("each fallback keeps what real msal-node signs in", () => {
  /** @type {[string, (session: import("../support/session.mjs").Session, t: import("node:test").TestContext) => Promise<object>, object][]} */
  const RUNGS = [
    [
      "EncryptedFilePersistence",
      async ({ home }) => ({ type: "encryptedFile", key: { type: "keyFile", path: await keyFile(home) } }),
      { backend: "encryptedFile", protection: "keyFile", survivesReboot: true },
    ],
    [
      "EncryptedFilePersistence",
      async () => ({ type: "encryptedFile", key: { type: "passphrase", passphrase: PASSPHRASE } }),
      { backend: "encryptedFile", protection: "passphrase", survivesReboot: true },
    ],
    [
      "EncryptedFilePersistence",
      async (_, t) => ({ type: "encryptedFile", key: { type: "kernelKeyring", name: kernelKeyName(t) } }),
      { backend: "encryptedFile", protection: "untilReboot", survivesReboot: false },
    ],
    [
      "FilePersistence",
      async () => ({ type: "plaintextFile" }),
      { backend: "plaintextFile", protection: "plaintext", survivesReboot: true },
    ],
    [
      "MemoryPersistence",
      async () => ({ type: "memory" }),
      { backend: "memory", protection: "memory", survivesReboot: false },
    ],
  ];
  for (const [name, fallback, info] of RUNGS) {
    test(Object.values(info).join(", "), async (t) => {
      const session = await startSession(t, "none");
      const store = storeWith(session, [await fallback(session, t)]);
      const one = await startActor(t, session.env);
      const got = await one.run(create, { store });
      assert.equal(got.name, name);
      const { backend, protection, survivesReboot } = got.info;
      assert.deepEqual({ backend, protection, survivesReboot }, info);
      assert.equal(got.warnings.length, 1, "weaker than the keyring");
      const here = await one.run(signIn, { user: "ada@contoso.example" });
      assert.deepEqual(here, ["ada@contoso.example"]);
      const two = await startActor(t, session.env);
      await two.run(create, { store });
      const there = await two.run(signIn, { user: "bob@contoso.example" });
      const shared = name === "MemoryPersistence" ? [] : ["ada@contoso.example"];
      assert.deepEqual(there, [...shared, "bob@contoso.example"]);
    });
  }
});

test("the first fallback that works is chosen: after a missing key and a wrong key, one that fits", async (t) => {
  const session = await startSession(t, "none");
  const right = { type: "keyFile", path: await keyFile(session.home, "right") };
  const one = await startActor(t, session.env);
  await one.run(create, { store: storeWith(session, [{ type: "encryptedFile", key: right }]) });
  await one.run(signIn, { user: "ada@contoso.example" });
  const fallback = [
    { type: "encryptedFile", key: { type: "environment", environmentVariable: "TOKENKEEP_TEST_UNSET" } },
    { type: "encryptedFile", key: { type: "keyFile", path: await keyFile(session.home, "wrong") } },
    { type: "encryptedFile", key: right },
    { type: "memory" },
  ];
  const two = await startActor(t, session.env);
  const got = await two.run(create, { store: storeWith(session, fallback) });
  assert.equal(got.name, "EncryptedFilePersistence");
  assert.match(got.warnings[0], /TOKENKEEP_TEST_UNSET is not set.*wrong.*with another key/s);
  assert.deepEqual(await two.run(signIn, { user: "bob@contoso.example" }), [
    "ada@contoso.example",
    "bob@contoso.example",
  ]);
});

test("encrypted content is never overwritten with plaintext, and memory does not touch it", async (t) => {
  const session = await startSession(t, "none");
  const key = { type: "keyFile", path: await keyFile(session.home) };
  const actor = await startActor(t, session.env);
  const store = storeWith(session, [{ type: "encryptedFile", key }]);
  await actor.run(create, { store });
  await actor.run(signIn, { user: "ada@contoso.example" });
  const before = await readFile(store.cachePath);
  for (const fallback of [{ fallback: [{ type: "plaintextFile" }] }, { usePlaintextFileOnLinux: true }]) {
    const refused = await actor.run(create, { store: { ...storeWith(session, []), ...fallback } });
    assert.equal(refused.ours, true);
    assert.match(refused.errorMessage, /encrypted, and it was opened as plaintext/);
  }
  const memory = await actor.run(create, {
    store: storeWith(session, [{ type: "plaintextFile" }, { type: "memory" }]),
  });
  assert.equal(memory.name, "MemoryPersistence");
  assert.deepEqual(await actor.run(signIn, { user: "bob@contoso.example" }), ["bob@contoso.example"]);
  assert.deepEqual(await readFile(store.cachePath), before);
});

test("usePlaintextFileOnLinux is the last of the fallbacks", async (t) => {
  const session = await startSession(t, "none");
  const actor = await startActor(t, session.env);
  const key = { type: "keyFile", path: join(session.home, "later") };
  const store = storeWith(session, [{ type: "encryptedFile", key }], { usePlaintextFileOnLinux: true });
  const plain = await actor.run(create, { store });
  assert.equal(plain.name, "FilePersistence");
  assert.match(plain.warnings[0], /not encrypted/);
  await actor.run(signIn, { user: "ada@contoso.example" });
  await keyFile(session.home, "later");
  const encrypted = await actor.run(create, { store });
  assert.equal(encrypted.name, "EncryptedFilePersistence");
  assert.deepEqual((await readFile(store.cachePath)).subarray(0, 8), MAGIC);
  assert.deepEqual(await actor.run(signIn, { user: "bob@contoso.example" }), [
    "ada@contoso.example",
    "bob@contoso.example",
  ]);
});

test("when all fail, one error lists each attempt, its cause and its remedy", async (t) => {
  const session = await startSession(t, "none");
  const actor = await startActor(t, session.env);
  const fallback = [
    { type: "encryptedFile", key: { type: "keyFile", path: "/nowhere/key" } },
    { type: "encryptedFile", key: { type: "keystore", serviceName: "s", accountName: "key" } },
  ];
  const got = await actor.run(create, { store: storeWith(session, fallback) });
  assert.deepEqual([got.errorCode, got.code], ["CachePersistenceError", "store_unavailable"]);
  assert.deepEqual(got.causes, ["PersistenceError", "PersistenceError", "PersistenceError"]);
  for (const words of [
    /^No store for the cache works: the Secret Service: /,
    /an encrypted file, with the key file '\/nowhere\/key': The key is missing/,
    /Put the key there/,
    /an encrypted file, with a key in the keystore item 's\/key': /,
  ]) {
    assert.match(got.errorMessage, words);
  }
});

test("a read-only directory does not prevent a fallback to memory", async (t) => {
  const session = await startSession(t, "none");
  const actor = await startActor(t, session.env);
  await writeFile(join(session.home, "app"), "a file where a directory is needed");
  const unasked = await actor.run(create, { store: storeWith(session, []) });
  assert.equal(unasked.ours, true);
  const got = await actor.run(create, { store: storeWith(session, [{ type: "memory" }]) });
  assert.equal(got.name, "MemoryPersistence");
});

test("an invalid fallback is refused before any try, and never printed", async (t) => {
  const session = await startSession(t, "none");
  const actor = await startActor(t, session.env);
  for (const fallback of [
    "memory",
    [null],
    [{ type: "secret!" }],
    [{ type: "encryptedFile" }],
    [{ type: "encryptedFile", key: { type: "passphrase", passphrase: 12345 } }],
    [
      {
        type: "encryptedFile",
        key: { type: "keystore", serviceName: "tokenkeep tests", accountName: "cache" },
      },
    ],
  ]) {
    const got = await actor.run(create, { store: storeWith(session, /** @type {any} */ (fallback)) });
    assert.equal(got.errorCode, "ERR_INVALID_ARG_TYPE", JSON.stringify(got));
    assert.doesNotMatch(got.errorMessage, /secret!|12345/);
  }
  assert.equal(existsSync(join(session.home, "app")), false);
});

for (const [name, number] of /** @type {const} */ ([
  ["EPERM", 1],
  ["ENOSYS", 38],
  ["EDQUOT", 122],
])) {
  test(`a kernel whose keyring is forbidden (${name}) is a fallback that fails with a typed error`, async (t) => {
    const session = await startSession(t, "none");
    const through = ["python3", SECCOMP, String(number)];
    const actor = await startActor(t, session.env, subject, through);
    const key = { type: "kernelKeyring", name: kernelKeyName(t) };
    const kernel = { type: "encryptedFile", key };
    const alone = await actor.run(create, { store: storeWith(session, [kernel]) });
    assert.equal(alone.errorCode, "CachePersistenceError");
    assert.match(alone.errorMessage, /with a key in the kernel keyring: .*kernel/);
    const got = await actor.run(create, { store: storeWith(session, [kernel, { type: "memory" }]) });
    assert.equal(got.name, "MemoryPersistence");
  });
}

test("a locked keyring: prompts depend on allowPrompt and are removed after promptTimeout", async (t) => {
  const session = await startSession(t, "locked");
  const display = await startActor(t, { ...session.env, DISPLAY: ":99" });
  const plain = await startActor(t, session.env);
  const locked = async (/** @type {any} */ actor, /** @type {object} */ more) => {
    const got = await actor.run(create, { store: storeWith(session, [], more) });
    assert.equal(got.code, "store_locked", got.errorMessage);
    return got.errorMessage;
  };
  const refused = /prompts are not allowed here/;
  assert.match(await locked(plain, {}), refused);
  assert.match(await locked(display, { allowPrompt: false }), refused);
  for (const [actor, more] of /** @type {const} */ ([
    [plain, { allowPrompt: true }],
    [display, {}],
    [display, { allowPrompt: "auto" }],
  ])) {
    // No program here can show a prompt, so it is never answered.
    assert.doesNotMatch(await locked(actor, { ...more, promptTimeout: 800 }), refused);
  }
  const error = await rejection(
    plain.run(async ({ tools, store }) => tools.createPersistence(store), {
      store: storeWith(session, [], { allowPrompt: "never" }),
    }),
  );
  assert.equal(error.errorCode, "ERR_INVALID_ARG_TYPE");
});
