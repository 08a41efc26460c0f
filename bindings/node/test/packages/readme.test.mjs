// @ts-check
/** What the README shows, pasted into a project and run. */
import assert from "node:assert/strict";
import { copyFile, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { output } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { startSession } from "../support/session.mjs";
import { ORIGINAL, OURS } from "../support/subject.mjs";
import { environment, INSTALL_MS, install, packedVersion } from "./project.mjs";
import { folder as tarballFolder, tarballs } from "./tarball.mjs";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));

/** The blocks of code of one language. @param {string} file @param {string} language */
async function blocks(file, language) {
  const text = await readFile(join(ROOT, file), "utf8");
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm"))].map(
    ([, code = ""]) => code,
  );
}

test("the quick start of each README keeps tokens in the keyring, and its marker in the user's folder", async (t) => {
  const dependencies = { [OURS]: packedVersion(), "@azure/msal-node": "7.2.1" };
  const project = await install(t, { type: "module", dependencies });
  const ofPackage = `
    await client.getTokenCache().getAllAccounts();
    console.log((await persistence.info()).backend);`;
  const [shown = ""] = await blocks("README.md", "text");
  for (const [file, more, expected] of [
    ["README.md", "", shown.trim()],
    ["bindings/node/README.md", ofPackage, "secretService"],
  ]) {
    const session = await startSession(t, "keyring");
    const [code = ""] = await blocks(file, "js");
    assert.match(code, /from "tokenkeep"/);
    assert.equal((await project.play(code + more, session.env)).trim(), expected, file);
    assert.ok((await stat(join(session.home, ".my-app", "cache.json"))).isFile(), file);
  }
});

test("local tarballs take the place of the original by the manifest that the README shows", async (t) => {
  const shown = (await blocks("bindings/node/README.md", "json")).find((one) => one.includes("file:"));
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
