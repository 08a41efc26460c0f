// @ts-check
/**
 * The table of states at the entrances of Node: each file at the cache's path, beside an item of the keyring or none. Each
 * cell works, or is one typed error whose remedy is carried out here and after which it works. `docs/states.md` is the
 * table; the command's test `states` has the states that do not depend on the entrance.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { rejection } from "../contract/row.mjs";
import { startActor } from "../support/actor.mjs";
import { startSession } from "../support/session.mjs";

const DPAPI = Buffer.from("01000000d08c9ddf0115d1118c7a00c04fc297eb", "hex");

/** @type {Record<string, { content: Buffer | string | undefined, occupies?: true, kept?: true }>} */
const FILES = {
  "no file": { content: undefined },
  empty: { content: "" },
  "a marker": { content: "{}" },
  "a torn token cache": {
    content: '{"Account":{"a.b-login-c":{"home_account_id":"a.b","username":"to',
    kept: true,
  },
  "another program's file": { content: "a person's notes", kept: true },
  "an encrypted file, the key unknown": {
    content: Buffer.from("\x89TKS\r\n\x1a\nno key", "latin1"),
    occupies: true,
  },
  "a file that Windows encrypted": { content: Buffer.concat([DPAPI, Buffer.from("sealed")]), occupies: true },
};

const signIn = async (/** @type {any} */ { tools, store, user }) => {
  const { client } = await tools.open(store);
  await tools.signInWithDeviceCode(client, user);
  return tools.usernames(client);
};

/** Carries out the line for a shell in the remedy of an error. @param {any} error */
function carryOut(error) {
  const line = /mv '([^']+)' '([^']+)'/.exec(error.message);
  assert.ok(line, `no line to paste: ${error.message}`);
  execFileSync("mv", line.slice(1));
}

describe("states", () => {
  for (const kind of ["PersistenceCreator", "LibSecretPersistence", "tokenkeep/identity"]) {
    test(`${kind}: every file at the cache's path lets a person sign in, or its error says how`, async (t) => {
      const session = await startSession(t);
      const actor = await startActor(t, session.env);
      let cell = 0;
      for (const [name, { content, occupies, kept }] of Object.entries(FILES)) {
        for (const before of [[], ["ada@contoso.example"]]) {
          cell += 1;
          const what = `${name}, ${before.length} signed in`;
          const cachePath = join(session.home, `cell-${cell}`, `cell-${cell}.nocae`);
          const store = { kind, cachePath, accountName: `cell-${cell}` };
          for (const user of before) {
            await actor.run(signIn, { store, user });
          }
          await mkdir(dirname(cachePath), { recursive: true });
          if (content !== undefined) {
            await writeFile(cachePath, content, { mode: 0o600 });
            // Long ago, so that no writer can be at work on it.
            await utimes(cachePath, new Date(0), new Date(0));
          }
          const user = "eve@contoso.example";
          if (occupies) {
            const error = await rejection(actor.run(signIn, { store, user }));
            assert.equal(error.fields.code, "marker_occupied", `${what}: ${error.message}`);
            assert.deepEqual(await readFile(cachePath), content, what);
            carryOut(error);
          }
          const names = await actor.run(signIn, { store, user });
          assert.deepEqual(names.toSorted(), [...before, user].toSorted(), what);
          const copies = (await readdir(dirname(cachePath))).filter((each) => each.includes(".corrupt-"));
          assert.equal(copies.length, kept ? 1 : 0, `${what}: ${copies}`);
          for (const copy of copies) {
            assert.equal(await readFile(join(dirname(cachePath), copy), "utf8"), content, what);
          }
        }
      }
    });
  }

  test("without a keyring the error names the options that allow another store", async (t) => {
    const session = await startSession(t, "no-service");
    const actor = await startActor(t, session.env);
    const store = { kind: "PersistenceCreator", cachePath: join(session.home, "cache.json") };
    const user = "eve@contoso.example";
    const error = await rejection(actor.run(signIn, { store, user }));
    assert.match(error.message, /usePlaintextFileOnLinux: true/);
    const names = await actor.run(signIn, { store: { ...store, usePlaintextFileOnLinux: true }, user });
    assert.deepEqual(names, [user]);
  });
});
