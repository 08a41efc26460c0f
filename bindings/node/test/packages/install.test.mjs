// @ts-check
/**
 * The packed package, installed like by a user: under its own name, and in place of the original. Tests our tarballs,
 * also if another package is under test.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ORIGINAL, OURS } from "../support/subject.mjs";
import { install, packedVersion } from "./project.mjs";

/** A program that saves and loads through both module kinds and prints the loaded content. @param {string} name */
const roundTrip = (name) => `
  import { createRequire } from "node:module";
  import { FilePersistence } from "${name}";
  const cjs = createRequire(import.meta.url)("${name}");
  const persistence = await FilePersistence.create("cache.json");
  await persistence.save("content");
  console.log(await persistence.load(), cjs.FilePersistence === FilePersistence, (await persistence.info()).backend);`;

test("under its own name: two packages, no script, and it works", async (t) => {
  const project = await install(t, { dependencies: { [OURS]: `^${packedVersion()}` } });
  const installed = await project.installed();
  assert.equal(installed.length, 2, installed.join(", "));
  assert.equal(installed[0], OURS);
  assert.match(installed[1] ?? "", /^tokenkeep-[a-z0-9-]+$/);
  assert.equal(await project.play(roundTrip(OURS)), "content true plaintextFile");
});

test("in place of the original, for a direct dependant: alias and override", async (t) => {
  const alias = `npm:${OURS}@^${packedVersion()}`;
  const project = await install(t, {
    dependencies: { [ORIGINAL]: alias },
    overrides: { [ORIGINAL]: `$${ORIGINAL}` },
  });
  const installed = await project.installed();
  assert.deepEqual(
    installed.filter((name) => !name.startsWith("tokenkeep-")),
    [ORIGINAL],
  );
  assert.equal(await project.play(roundTrip(ORIGINAL)), "content true plaintextFile");
});
