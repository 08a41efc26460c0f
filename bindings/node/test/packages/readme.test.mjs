// @ts-check
/** The manifest of the README for local tarballs. The stage `pages` runs everything else that it shows. */
import assert from "node:assert/strict";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { blocks } from "../pages/blocks.mjs";
import { output } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { ORIGINAL, OURS } from "../support/subject.mjs";
import { environment, INSTALL_MS, packedVersion } from "./project.mjs";
import { folder as tarballFolder, tarballs } from "./tarball.mjs";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));

test("local tarballs take the place of the original by the manifest that the README shows", async (t) => {
  const page = await readFile(join(ROOT, "bindings/node/README.md"), "utf8");
  const shown = blocks(page).find(
    ({ language, text }) => language === "json" && text.includes("file:"),
  )?.text;
  assert.ok(shown, "the README shows a manifest with local tarballs");
  const folder = await scratchDirectory(t);
  for (const { file } of tarballs()) {
    await copyFile(join(tarballFolder, file), join(folder, file));
  }
  const native = tarballs().find(({ manifest }) => manifest.name !== OURS)?.manifest.name ?? "";
  const manifest = JSON.parse(
    shown.replaceAll("tokenkeep-linux-x64-gnu", native).replaceAll("0.1.0", packedVersion()),
  );
  // A dependant of the original, without its own dependencies.
  manifest.dependencies.dependant = "file:./dependant";
  await output("mkdir", [join(folder, "dependant")]);
  const dependant = { name: "dependant", version: "1.0.0", dependencies: { [ORIGINAL]: "^1.5.0" } };
  await writeFile(join(folder, "dependant", "package.json"), JSON.stringify(dependant));
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, ...manifest }));
  const env = { ...(await environment(t, { original: true })), npm_config_ignore_scripts: "true" };
  await output("npm", ["install"], { cwd: folder, env, deadline: INSTALL_MS });
  const program = `
    const { FilePersistence } = require("${ORIGINAL}");
    FilePersistence.create("cache.json").then((file) => file.save("content")).then(() => console.log("saved"));`;
  assert.equal(await output(process.execPath, ["-e", program], { cwd: folder }), "saved\n");
  const { packages } = JSON.parse(await readFile(join(folder, "node_modules", ".package-lock.json"), "utf8"));
  const copies = Object.keys(packages).filter((place) => place.endsWith(ORIGINAL));
  assert.deepEqual(copies, [`node_modules/${ORIGINAL}`]);
});
