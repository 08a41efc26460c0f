// @ts-check
/**
 * Network faults during a sign-in, and the content of the cache afterwards.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SignInService } from "../../../../demo/signin/service.mjs";
import { listen } from "../../../../demo/signin/transport.mjs";
import { startActor } from "../support/actor.mjs";
import { enter, STORES } from "./situations.mjs";

/** Each fault of the sign-in service with MSAL's error code for it. */
const FAULTS = {
  invalid_grant: "invalid_grant",
  interaction_required: "interaction_required",
  too_many_requests: "temporarily_unavailable",
  unavailable: "temporarily_unavailable",
};

for (const situation of STORES) {
  for (const [fault, errorCode] of Object.entries(FAULTS)) {
    test(`${situation.name}: a refresh that ends in ${fault} costs no account its access token`, async (t) => {
      const { session, store } = await enter(t, situation);
      const one = await startActor(t, session.env);
      const seen = await one.run(
        async ({ tools, store, fault }) => {
          const { client, service } = await tools.open(store);
          const { accessToken } = await tools.signInWithRefreshToken(client, "ada@contoso.example");
          service.failWith(fault, 10);
          const errorCode = await tools.silently(client, "ada@contoso.example", { forceRefresh: true }).then(
            () => "none",
            (/** @type {any} */ error) => error.errorCode,
          );
          return { accessToken, errorCode };
        },
        { store, fault },
      );
      assert.equal(seen.errorCode, errorCode);
      await one.kill();
      const two = await startActor(t, session.env);
      const token = await two.run(
        async ({ tools, store }) => {
          const { client } = await tools.open(store, { network: "off" });
          return (await tools.silently(client, "ada@contoso.example")).accessToken;
        },
        { store },
      );
      assert.equal(token, seen.accessToken);
    });
  }

  test(`${situation.name}: one-time refresh tokens pass between two running processes`, async (t) => {
    const { session, store } = await enter(t, situation);
    const service = new SignInService({ oneTimeRefreshTokens: true });
    const { origin, close } = await listen(service);
    t.after(close);
    const actors = await Promise.all([startActor(t, session.env), startActor(t, session.env)]);
    for (const actor of actors) {
      await actor.run(
        async ({ tools, scene, store, origin }) => {
          Object.assign(scene, await tools.open(store, { network: { origin } }));
        },
        { store, origin },
      );
    }
    await actors[0]?.run(({ tools, scene }) =>
      tools.signInWithDeviceCode(scene.client, "ada@contoso.example"),
    );
    for (let round = 0; round < 20; round++) {
      // The service would refuse a process that still had the refresh token of the round before.
      await actors[round % 2]?.run(({ tools, scene }) =>
        tools.silently(scene.client, "ada@contoso.example", { forceRefresh: true }),
      );
    }
    const refreshes = service.requests.filter(({ grant }) => grant === "refresh_token");
    assert.equal(refreshes.length, 20);
    assert.ok(refreshes.every(({ status }) => status === 200));
  });

  test(`${situation.name}: an interactive sign-in, through a browser, is found by the next process`, async (t) => {
    const { session, store } = await enter(t, situation);
    const one = await startActor(t, session.env);
    const signedIn = await one.run(
      async ({ tools, store }) => {
        const { client, service } = await tools.open(store);
        const { account, accessToken } = await client.acquireTokenInteractive({
          scopes: tools.SCOPES,
          loginHint: "ada@contoso.example",
          openBrowser: tools.browser(service),
        });
        return { username: account.username, accessToken };
      },
      { store },
    );
    assert.equal(signedIn.username, "ada@contoso.example");
    await one.kill();
    const two = await startActor(t, session.env);
    const token = await two.run(
      async ({ tools, store }) => {
        const { client } = await tools.open(store, { network: "off" });
        return (await tools.silently(client, "ada@contoso.example")).accessToken;
      },
      { store },
    );
    assert.equal(token, signedIn.accessToken);
  });
}

test("an authority unknown to MSAL is discovered and signs in", async (t) => {
  const [situation] = STORES;
  assert.ok(situation);
  const { session, store } = await enter(t, situation);
  const actor = await startActor(t, session.env);
  const { username, paths } = await actor.run(
    async ({ msal, tools, store }) => {
      const service = new tools.SignInService();
      const client = new msal.PublicClientApplication({
        auth: { clientId: tools.CLIENT_ID, authority: "https://login.contoso.example/organizations" },
        cache: { cachePlugin: await tools.createPlugin(store) },
        system: { networkClient: tools.localNetworkClient(service) },
      });
      const { account } = await tools.signInWithDeviceCode(client, "ada@contoso.example");
      return {
        username: account.username,
        paths: service.requests.map((/** @type {any} */ { path }) => path),
      };
    },
    { store },
  );
  assert.equal(username, "ada@contoso.example");
  assert.ok(paths.includes("/common/discovery/instance"), paths.join(" "));
  assert.ok(paths.includes("/organizations/v2.0/.well-known/openid-configuration"), paths.join(" "));
});
