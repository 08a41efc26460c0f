// @ts-check
/**
 * Two or more processes with one cache: each sees the others' changes, and none of many concurrent changes is lost.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startActor } from "../support/actor.mjs";
import { enter, SITUATIONS, STORES } from "./situations.mjs";

/** Opens the store once and keeps client and plugin in the scene. */
const openInScene = async (/** @type {any} */ { tools, scene, store }) => {
  Object.assign(scene, await tools.open(store));
};
const signIn = (/** @type {any} */ { tools, scene, user }) =>
  tools.signInWithRefreshToken(scene.client, user);
const names = (/** @type {any} */ { tools, scene }) => tools.usernames(scene.client);

for (const situation of SITUATIONS) {
  test(`${situation.name}: an account removed in one process is gone from the store, and stays gone`, async (t) => {
    const { session, store } = await enter(t, situation);
    const one = await startActor(t, session.env);
    await one.run(openInScene, { store });
    await one.run(signIn, { user: "ada@contoso.example" });
    await one.run(signIn, { user: "bob@contoso.example" });

    const two = await startActor(t, session.env);
    await two.run(openInScene, { store });
    assert.deepEqual(await two.run(names), ["ada@contoso.example", "bob@contoso.example"]);

    await one.run(async ({ tools, scene }) => {
      const account = await tools.accountNamed(scene.client, "ada@contoso.example");
      await scene.client.getTokenCache().removeAccount(account);
    });
    assert.deepEqual(await one.run(names), ["bob@contoso.example"]);

    // Process two loaded ada before she was removed; its next write must not bring her back.
    await two.run(signIn, { user: "cyd@contoso.example" });
    const three = await startActor(t, session.env);
    await three.run(openInScene, { store });
    assert.deepEqual(await three.run(names), ["bob@contoso.example", "cyd@contoso.example"]);
  });
}

for (const situation of STORES) {
  test(`${situation.name}: a sign-in in one process is visible at once in another that is already running`, async (t) => {
    const { session, store } = await enter(t, situation);
    const [one, two] = await Promise.all([startActor(t, session.env), startActor(t, session.env)]);
    await Promise.all([one.run(openInScene, { store }), two.run(openInScene, { store })]);
    const users = [];
    for (let round = 0; round < 40; round++) {
      const [writer, reader] = round % 2 ? [one, two] : [two, one];
      const user = `user${String(round).padStart(2, "0")}@contoso.example`;
      users.push(user);
      await writer.run(signIn, { user });
      // At once: the read begins in the millisecond in which the write ended.
      assert.deepEqual(await reader.run(names), users, `after round ${round}`);
    }
  });

  test(`${situation.name}: after a sign-out in one process, another that is running gets no token for that account`, async (t) => {
    const { session, store } = await enter(t, situation);
    const [one, two] = await Promise.all([startActor(t, session.env), startActor(t, session.env)]);
    await Promise.all([one.run(openInScene, { store }), two.run(openInScene, { store })]);
    await one.run(signIn, { user: "ada@contoso.example" });
    await two.run(async ({ tools, scene }) => {
      scene.account = await tools.accountNamed(scene.client, "ada@contoso.example");
    });
    await one.run(async ({ tools, scene }) => {
      const account = await tools.accountNamed(scene.client, "ada@contoso.example");
      await scene.client.getTokenCache().removeAccount(account);
    });
    const token = two.run(({ tools, scene }) =>
      scene.client.acquireTokenSilent({ scopes: tools.SCOPES, account: scene.account }),
    );
    await assert.rejects(token, { errorCode: "no_tokens_found" });
  });

  test(`${situation.name}: four processes sign in ten accounts each at the same time, and all forty are stored`, async (t) => {
    const { session, store } = await enter(t, situation);
    const actors = await Promise.all([0, 1, 2, 3].map(() => startActor(t, session.env)));
    await Promise.all(actors.map((actor) => actor.run(openInScene, { store })));
    await Promise.all(
      actors.map((actor, number) =>
        actor.run(
          async ({ tools, scene, number }) => {
            for (let turn = 0; turn < 10; turn++) {
              await tools.signInWithRefreshToken(scene.client, `p${number}t${turn}@contoso.example`);
              await tools.usernames(scene.client);
            }
          },
          { number },
        ),
      ),
    );
    const last = await startActor(t, session.env);
    await last.run(openInScene, { store });
    const expected = actors.flatMap((_, number) =>
      Array.from({ length: 10 }, (_, turn) => `p${number}t${turn}@contoso.example`),
    );
    assert.deepEqual(await last.run(names), expected.sort());
  });

  test(`${situation.name}: a token refreshed in one process is the token the other one uses`, async (t) => {
    const { session, store } = await enter(t, situation);
    const [one, two] = await Promise.all([startActor(t, session.env), startActor(t, session.env)]);
    await Promise.all([one.run(openInScene, { store }), two.run(openInScene, { store })]);
    await one.run(signIn, { user: "ada@contoso.example" });
    const silently = async (/** @type {any} */ { tools, scene, forceRefresh }) =>
      (await tools.silently(scene.client, "ada@contoso.example", { forceRefresh })).accessToken;
    const first = await two.run(silently, { forceRefresh: false });
    const second = await one.run(silently, { forceRefresh: true });
    assert.notEqual(second, first);
    assert.equal(await two.run(silently, { forceRefresh: false }), second);
  });
}
