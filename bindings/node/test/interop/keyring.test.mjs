// @ts-check
/**
 * Several programs share one keyring item. The package reads the items of keytar, the original and `secret-tool`,
 * they read its items, and no write creates a second item or drops attributes.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { startActor } from "../support/actor.mjs";
import { lookup, search, store as storeSecret } from "../support/secrets.mjs";
import { startSession } from "../support/session.mjs";
import { ORIGINAL } from "../support/subject.mjs";

const SERVICE = "interop service";
const ACCOUNT = "interop account";

/** Contents with different risks: plain, not ASCII, large. */
const CONTENTS = {
  JSON: '{"Account":{}}',
  "text of many scripts": '{"name":"Zoë 東京 🔑"}',
  "one megabyte": JSON.stringify({ padding: "x".repeat(1 << 20) }),
};

/**
 * Asserts equality without printing a megabyte on failure.
 *
 * @param {string | null} actual
 * @param {string} expected
 */
function assertSame(actual, expected) {
  const seen = actual === null ? "null" : `${actual.length} characters: ${actual.slice(0, 60)}`;
  assert.ok(
    actual === expected,
    `expected ${expected.length} characters: ${expected.slice(0, 60)}; got ${seen}`,
  );
}

/** @param {import("node:test").TestContext} t */
async function setUp(t) {
  const session = await startSession(t);
  const actor = await startActor(t, session.env);
  const path = join(session.home, "cache.json");
  await actor.run(
    async ({ ext, tools, scene, path, service, account }) => {
      scene.persistence = await ext.LibSecretPersistence.create(path, service, account);
      scene.keytar = await tools.keytar();
    },
    { path, service: SERVICE, account: ACCOUNT },
  );
  return { session, actor, path };
}

const load = (/** @type {any} */ { scene }) => scene.persistence.load();
const save = (/** @type {any} */ { scene, content }) => scene.persistence.save(content);

for (const [name, content] of Object.entries(CONTENTS)) {
  test(`${name}, written by keytar, is read by the package`, async (t) => {
    const { actor } = await setUp(t);
    await actor.run(
      ({ scene, content, service, account }) => scene.keytar.setPassword(service, account, content),
      {
        content,
        service: SERVICE,
        account: ACCOUNT,
      },
    );
    assertSame(await actor.run(load), content);
  });

  test(`${name}, written by the package, is read by keytar`, async (t) => {
    const { actor } = await setUp(t);
    await actor.run(save, { content });
    const read = await actor.run(
      ({ scene, service, account }) => scene.keytar.getPassword(service, account),
      {
        service: SERVICE,
        account: ACCOUNT,
      },
    );
    assertSame(read, content);
  });

  test(`${name}, written by the package, is printed by secret-tool lookup`, async (t) => {
    const { actor, session } = await setUp(t);
    await actor.run(save, { content });
    assertSame(await lookup(session, SERVICE, ACCOUNT), content);
  });

  // secret-tool reads at most 8 KB of input.
  if (content.length <= 8192) {
    test(`${name}, written by secret-tool store, is read by the package`, async (t) => {
      const { actor, session } = await setUp(t);
      await storeSecret(session, { service: SERVICE, account: ACCOUNT }, content);
      assertSame(await actor.run(load), content);
    });
  }
}

test("keytar and the package, writing in turn, share one item", async (t) => {
  const { actor } = await setUp(t);
  const found = await actor.run(
    async ({ scene, service, account }) => {
      for (let turn = 0; turn < 3; turn++) {
        await scene.persistence.save(`package ${turn}`);
        await scene.keytar.setPassword(service, account, `keytar ${turn}`);
      }
      await scene.persistence.save("last");
      return scene.keytar.findCredentials(service);
    },
    { service: SERVICE, account: ACCOUNT },
  );
  assert.deepEqual(found, [{ account: ACCOUNT, password: "last" }]);
});

test("an item removed by the package is absent for keytar, and the other way round", async (t) => {
  const { actor } = await setUp(t);
  const seen = await actor.run(
    async ({ scene, service, account }) => {
      await scene.persistence.save("one");
      const deleted = await scene.persistence.delete();
      const forKeytar = await scene.keytar.getPassword(service, account);
      await scene.keytar.setPassword(service, account, "two");
      await scene.keytar.deletePassword(service, account);
      return { deleted, forKeytar, forPackage: await scene.persistence.load() };
    },
    { service: SERVICE, account: ACCOUNT },
  );
  assert.deepEqual(seen, { deleted: true, forKeytar: null, forPackage: null });
});

test("a new item has keytar's label, schema and attributes, and no more", async (t) => {
  const { actor, session } = await setUp(t);
  await actor.run(save, { content: "content" });
  const shown = await search(session, { service: SERVICE, account: ACCOUNT });
  assert.match(shown, new RegExp(`^label = ${SERVICE}/${ACCOUNT}$`, "m"));
  assert.match(shown, /^schema = org\.freedesktop\.Secret\.Generic$/m);
  assert.match(shown, new RegExp(`^attribute\\.service = ${SERVICE}$`, "m"));
  assert.match(shown, new RegExp(`^attribute\\.account = ${ACCOUNT}$`, "m"));
  assert.equal(shown.match(/^attribute\./gm)?.length, 2, shown);
});

test("an item with more attributes than ours is updated in place and keeps them", async (t) => {
  const { actor, session } = await setUp(t);
  const attributes = { service: SERVICE, account: ACCOUNT, username: "somebody" };
  await storeSecret(session, attributes, "old", "theirs");
  assert.equal(await actor.run(load), "old");
  await actor.run(save, { content: "new" });
  const shown = await search(session, { service: SERVICE, account: ACCOUNT });
  assert.match(shown, /^attribute\.username = somebody$/m);
  assert.match(shown, /^label = theirs$/m);
  assert.equal(shown.match(/^secret = /gm)?.length, 1, "one item");
  assert.equal(await lookup(session, SERVICE, ACCOUNT), "new");
});

for (const [writer, reader] of [
  ["the original", "the package"],
  ["the package", "the original"],
]) {
  test(`an account signed in with ${writer} is signed in with ${reader}, and stays so when it writes`, async (t) => {
    const session = await startSession(t);
    /** @param {string | undefined} who */
    const start = (who) => startActor(t, session.env, who === "the original" ? ORIGINAL : undefined);
    const props = { store: { kind: "LibSecretPersistence", cachePath: join(session.home, "cache.json") } };
    const one = await start(writer);
    await one.run(
      async ({ tools, store }) =>
        tools.signInWithRefreshToken((await tools.open(store)).client, "ada@contoso.example"),
      props,
    );
    const two = await start(reader);
    const fromCache = await two.run(async ({ tools, store }) => {
      const { client } = await tools.open(store);
      const token = await tools.silently(client, "ada@contoso.example");
      await tools.signInWithRefreshToken(client, "bob@contoso.example");
      return token.fromCache;
    }, props);
    assert.equal(fromCache, true);
    const three = await start(writer);
    const seen = await three.run(
      async ({ tools, store }) => tools.usernames((await tools.open(store)).client),
      props,
    );
    assert.deepEqual(seen, ["ada@contoso.example", "bob@contoso.example"]);
  });
}
