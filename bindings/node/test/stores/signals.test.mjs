// @ts-check
/** Operations that are given up by a signal. */
import assert from "node:assert/strict";
import { readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { startActor } from "../support/actor.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { startSession } from "../support/session.mjs";
import { imported } from "../support/subject.mjs";

const { EncryptedFilePersistence, FilePersistence, PersistenceCreator } = await imported();

const reason = new Error("no longer wanted");

/** Each kind of file. @type {[string, (path: string) => Promise<any>][]} */
const STORES = [
  ["a file", (path) => FilePersistence.create(path)],
  [
    "an encrypted file",
    (path) => EncryptedFilePersistence.create(path, { type: "passphrase", passphrase: "of this test" }),
  ],
];

for (const [what, create] of STORES) {
  test(`${what}: a save that is given up while it waits for the lock writes nothing, and leaves no lock`, async (t) => {
    const path = join(await scratchDirectory(t), "cache.json");
    const persistence = await create(path);
    await persistence.save("before");
    const content = await readFile(path);
    // Another process has the lock.
    await writeFile(`${path}.lockfile`, String(process.ppid));
    const controller = new AbortController();
    const saving = persistence.save("given up", { signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(saving, reason);
    await unlink(`${path}.lockfile`);
    // It waits in line behind the one that was given up.
    assert.equal(await persistence.load(), "before");
    await persistence.save("after");
    assert.equal(await persistence.load(), "after");
    assert.notDeepEqual(await readFile(path), content);
  });

  test(`${what}: a signal that is aborted before rejects at once; one that is not changes nothing`, async (t) => {
    const persistence = await create(join(await scratchDirectory(t), "cache.json"));
    const signal = AbortSignal.abort(reason);
    await assert.rejects(persistence.save("never", { signal }), reason);
    await assert.rejects(persistence.load({ signal }), reason);
    const { signal: silent } = new AbortController();
    await persistence.save("content", { signal: silent });
    assert.equal(await persistence.load({ signal: silent }), "content");
  });
}

test("createPersistence is given up while a keyring does not answer", async (t) => {
  const session = await startSession(t, "silent");
  const actor = await startActor(t, session.env);
  const said = await actor.run(
    async ({ ext, cachePath }) => {
      const controller = new AbortController();
      const config = { cachePath, serviceName: "service", accountName: "account" };
      const creating = ext.PersistenceCreator.createPersistence(config, { signal: controller.signal });
      setTimeout(() => controller.abort(new Error("no longer wanted")), 50);
      return creating.catch((/** @type {Error} */ { message }) => message);
    },
    { cachePath: join(session.home, "cache.json") },
  );
  assert.equal(said, reason.message);
  await assert.rejects(
    PersistenceCreator.createPersistence({}, { signal: AbortSignal.abort(reason) }),
    reason,
  );
});
