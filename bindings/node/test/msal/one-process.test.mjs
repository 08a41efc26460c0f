// @ts-check
/**
 * Several clients in one process, with one plugin or several, lose no account.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startActor } from "../support/actor.mjs";
import { enter, STORES } from "./situations.mjs";

for (const situation of STORES) {
  test(`${situation.name}: a second client on the same plugin sees the first one's accounts and keeps them`, async (t) => {
    const { session, store } = await enter(t, situation);
    const actor = await startActor(t, session.env);
    const seen = await actor.run(
      async ({ tools, store }) => {
        const plugin = await tools.createPlugin(store);
        const [first, second] = [0, 1].map(() => tools.createClient(plugin, new tools.SignInService()));
        await tools.signInWithRefreshToken(first, "ada@contoso.example");
        const before = await tools.usernames(second);
        await tools.signInWithRefreshToken(second, "bob@contoso.example");
        const fresh = await tools.open(store);
        return { before, after: await tools.usernames(first), stored: await tools.usernames(fresh.client) };
      },
      { store },
    );
    assert.deepEqual(seen, {
      before: ["ada@contoso.example"],
      after: ["ada@contoso.example", "bob@contoso.example"],
      stored: ["ada@contoso.example", "bob@contoso.example"],
    });
  });

  test(`${situation.name}: two clients that remove two accounts at once remove both permanently`, async (t) => {
    const { session, store } = await enter(t, situation);
    const actor = await startActor(t, session.env);
    const left = await actor.run(
      async ({ tools, store }) => {
        const users = ["ada@contoso.example", "bob@contoso.example", "cyd@contoso.example"];
        const setUp = await tools.open(store);
        for (const user of users) {
          await tools.signInWithRefreshToken(setUp.client, user);
        }
        const clients = [await tools.open(store), await tools.open(store)].map(({ client }) => client);
        const accounts = await Promise.all(
          clients.map((client, index) => tools.accountNamed(client, users[index])),
        );
        await Promise.all(
          clients.map((client, index) => client.getTokenCache().removeAccount(accounts[index])),
        );
        return tools.usernames((await tools.open(store)).client);
      },
      { store },
    );
    assert.deepEqual(left, ["cyd@contoso.example"]);
  });

  test(`${situation.name}: thirty sign-ins and thirty listings at once, on one plugin, lose no account`, async (t) => {
    const { session, store } = await enter(t, situation);
    const actor = await startActor(t, session.env);
    const { stored, expected } = await actor.run(
      async ({ tools, store }) => {
        const { client } = await tools.open(store);
        const expected = Array.from({ length: 30 }, (_, index) => `user${index}@contoso.example`).sort();
        await Promise.all(
          expected.flatMap((user) => [tools.signInWithRefreshToken(client, user), tools.usernames(client)]),
        );
        return { stored: await tools.usernames((await tools.open(store)).client), expected };
      },
      { store },
    );
    assert.deepEqual(stored, expected);
  });

  test(`${situation.name}: five plugins over one path, sign-ins and listings mixed, lose no account`, async (t) => {
    const { session, store } = await enter(t, situation);
    const actor = await startActor(t, session.env);
    const { stored, expected } = await actor.run(
      async ({ tools, store }) => {
        const clients = await Promise.all(
          Array.from({ length: 5 }, async () => (await tools.open(store)).client),
        );
        // Warmed up, like plugins in a program that has run for a while.
        await Promise.all(clients.map((client) => tools.usernames(client)));
        const expected = [];
        const turns = [];
        for (const [number, client] of clients.entries()) {
          for (let turn = 0; turn < 8; turn++) {
            const user = `c${number}t${turn}@contoso.example`;
            expected.push(user);
            turns.push(tools.signInWithRefreshToken(client, user), tools.usernames(client));
          }
        }
        await Promise.all(turns);
        return { stored: await tools.usernames((await tools.open(store)).client), expected: expected.sort() };
      },
      { store },
    );
    assert.deepEqual(stored, expected);
  });
}
