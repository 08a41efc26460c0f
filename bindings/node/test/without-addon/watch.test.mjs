// @ts-check
/** Watching where there is no addon: the same events, whether the others have one or not. */
import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { enter, STORES } from "../msal/situations.mjs";
import { startActor } from "../support/actor.mjs";
import { hears, hearsNoMore, mail, openInScene, signIn, signOut, told, watch } from "../support/watching.mjs";

const [FILE] = /** @type {[import("../msal/situations.mjs").Situation]} */ (STORES);
const WITHOUT = { TOKENKEEP_NATIVE_PATH: "none" };

for (const theirs of [{}, WITHOUT]) {
  const beside = theirs === WITHOUT ? "without" : "with";
  test(`who signs in and out beside, ${beside} the addon, is told, what one does oneself is not`, async (t) => {
    const { session, store } = await enter(t, FILE);
    const here = await startActor(t, { ...session.env, ...WITHOUT });
    const there = await startActor(t, { ...session.env, ...theirs });
    await Promise.all([here.run(openInScene, { store }), there.run(openInScene, { store })]);
    await here.run(watch);
    await there.run(signIn, { user: mail("ada") });
    await hears(here, [mail("ada")]);

    await here.run(signIn, { user: mail("own") });
    await hearsNoMore(here);
    await here.run(signOut, { user: mail("own") });
    await hearsNoMore(here);
    assert.doesNotMatch((await told(here)).text, /own@/);

    await there.run(signIn, { user: mail("bob") });
    await there.run(signOut, { user: mail("ada") });
    await hears(here, [mail("bob")]);

    // That it was without one all the while.
    const loaded = () => {
      const { sharedObjects } = /** @type {any} */ (process.report.getReport());
      return sharedObjects.some((/** @type {string} */ object) => object.endsWith(".node"));
    };
    assert.deepEqual([await here.run(loaded), await there.run(loaded)], [false, theirs !== WITHOUT]);

    await here.run(({ scene }) => scene.watcher.close());
    await there.run(signIn, { user: mail("cyd") });
    await hearsNoMore(here);
  });
}

test("without the addon, a file that goes away signs everybody out, and one that comes back is seen", async (t) => {
  const { session, store } = await enter(t, FILE);
  const here = await startActor(t, { ...session.env, ...WITHOUT });
  await here.run(openInScene, { store });
  const cacheOf = (/** @type {string[]} */ ...people) =>
    JSON.stringify({
      Account: Object.fromEntries(
        people.map((name) => [
          name,
          { home_account_id: `${name}.tenant`, environment: "login.windows.net", username: mail(name) },
        ]),
      ),
    });
  await here.run(watch);
  await writeFile(store.cachePath, cacheOf("ada", "bob"), { mode: 0o600 });
  await hears(here, [mail("ada"), mail("bob")]);
  await writeFile(store.cachePath, cacheOf("ada", "cyd"));
  await hears(here, [mail("ada"), mail("cyd")]);
  await rm(store.cachePath);
  await hears(here, []);
  await writeFile(store.cachePath, cacheOf("dan"), { mode: 0o600 });
  await hears(here, [mail("dan")]);
});
