// @ts-check
/**
 * The main case, with the real msal-node and every way to ask for a store: a user signs in, the process ends, and the
 * next process finds the account.
 */
import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { test } from "node:test";
import { startActor } from "../support/actor.mjs";
import { ACCOUNT_NAME, SERVICE_NAME } from "../support/client.mjs";
import { lookup } from "../support/secrets.mjs";
import { enter, SITUATIONS } from "./situations.mjs";

for (const situation of SITUATIONS) {
  test(`${situation.name}: after a device code sign-in and a SIGKILL, the next process is signed in without network`, async (t) => {
    const { session, store } = await enter(t, situation);
    const one = await startActor(t, session.env);
    const signedIn = await one.run(
      async ({ tools, store }) => {
        const { client, service } = await tools.open(store);
        const { account, accessToken } = await tools.signInWithDeviceCode(client, "ada@contoso.example");
        return { home: account.homeAccountId, accessToken, polls: service.requests.length };
      },
      { store },
    );
    // The device code request, one "pending", one answer.
    assert.equal(signedIn.polls, 3);
    await one.kill();

    const two = await startActor(t, session.env);
    const found = await two.run(
      async ({ tools, store }) => {
        const { client } = await tools.open(store, { network: "off" });
        const { account, accessToken, fromCache } = await tools.silently(client, "ada@contoso.example");
        return { home: account.homeAccountId, accessToken, fromCache };
      },
      { store },
    );
    assert.deepEqual(found, { home: signedIn.home, accessToken: signedIn.accessToken, fromCache: true });
  });

  test(`${situation.name}: a refresh token from elsewhere signs in, and refreshing goes on in the next process`, async (t) => {
    const { session, store } = await enter(t, situation);
    const one = await startActor(t, session.env);
    await one.run(
      async ({ tools, store }) => {
        const { client } = await tools.open(store);
        await tools.signInWithRefreshToken(client, "bob@fabrikam.example");
      },
      { store },
    );
    await one.kill();

    const two = await startActor(t, session.env);
    const refreshed = await two.run(
      async ({ tools, store }) => {
        const { client, service } = await tools.open(store);
        const before = await tools.silently(client, "bob@fabrikam.example");
        const after = await tools.silently(client, "bob@fabrikam.example", { forceRefresh: true });
        const again = await tools.silently(client, "bob@fabrikam.example");
        return {
          cached: before.fromCache,
          new: before.accessToken !== after.accessToken,
          kept: after.accessToken === again.accessToken,
          grants: service.requests.map((/** @type {any} */ { grant }) => grant),
        };
      },
      { store },
    );
    assert.deepEqual(refreshed, { cached: true, new: true, kept: true, grants: ["refresh_token"] });
  });

  test(`${situation.name}: the tokens are in the expected store, and no other user can read them`, async (t) => {
    const { session, store } = await enter(t, situation);
    const one = await startActor(t, session.env);
    await one.run(
      async ({ tools, store }) => {
        const { client } = await tools.open(store);
        await tools.signInWithRefreshToken(client, "ada@contoso.example");
      },
      { store },
    );
    const file = await readFile(store.cachePath, "utf8");
    const item = situation.session === "keyring" ? await lookup(session, SERVICE_NAME, ACCOUNT_NAME) : null;
    const secret = '"username":"ada@contoso.example"';
    assert.equal((await stat(store.cachePath)).mode & 0o777, 0o600);
    if (situation.place === "keyring") {
      assert.match(item ?? "", new RegExp(secret));
      assert.equal(file, "{}");
    } else {
      assert.match(file, new RegExp(secret));
      assert.equal(item, null);
    }
  });
}
