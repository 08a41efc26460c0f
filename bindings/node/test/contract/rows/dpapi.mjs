// @ts-check
import assert from "node:assert/strict";
import { unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { improve, keep, rejection } from "../row.mjs";

const UNSUPPORTED = "Dpapi is not supported on this platform";

keep("DPAPI load", "an empty file is null", async (_, { ext, dir }) => {
  const persistence = await ext.FilePersistenceWithDataProtection.create(
    join(dir, "cache.bin"),
    "CurrentUser",
  );
  assert.equal(await persistence.load(), null);
});

keep("DPAPI load", "an absent file rejects with ENOENT", async (_, { ext, dir }) => {
  const path = join(dir, "cache.bin");
  const persistence = await ext.FilePersistenceWithDataProtection.create(path, "CurrentUser");
  await unlink(path);
  const error = await rejection(persistence.load());
  assert.equal(error.name, "PersistenceError");
  assert.equal(error.errorCode, "ENOENT");
});

if (process.platform === "win32") {
  keep(
    "DPAPI load",
    "a blob that cannot be decrypted rejects with DPAPIEncryptedFileError",
    async (_, bench) => {
      const path = join(bench.dir, "cache.bin");
      const persistence = await bench.ext.FilePersistenceWithDataProtection.create(path, "CurrentUser");
      await writeFile(path, "no such blob");
      assert.equal((await rejection(persistence.load())).errorCode, "DPAPIEncryptedFileError");
    },
  );
}

/** The errors of both ways to reach DPAPI. @param {import("../row.mjs").Bench} bench */
async function failures({ ext, dir }) {
  const path = join(dir, "cache.bin");
  const persistence = await ext.FilePersistenceWithDataProtection.create(path, "CurrentUser", "entropy");
  const saved = await rejection(persistence.save("content"));
  await writeFile(path, "some blob");
  return [saved, await rejection(persistence.load())];
}

improve("DPAPI off Windows", "rejects at use with NotSupportedError, under the sentence of the original", {
  async original(_, bench) {
    for (const error of await failures(bench)) {
      assert.equal(error.name, "Error");
      assert.equal(error.message, UNSUPPORTED);
    }
  },
  async ours(_, bench) {
    for (const error of await failures(bench)) {
      assert.ok(error instanceof bench.ext.PersistenceError);
      assert.equal(error.errorCode, "NotSupportedError");
      assert.equal(error.message, UNSUPPORTED);
    }
  },
});
