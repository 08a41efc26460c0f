// @ts-check
/**
 * The pages that people read: every code block does what the page says. The stage `pages` runs it.
 *
 * All pages share a project of npm, in a private session with a keyring. Each has its own folder in it. Its blocks run from top
 * to bottom, as a reader would paste them.
 */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { environment } from "../packages/project.mjs";
import { run } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { startSession } from "../support/session.mjs";
import { blocks, fault, isOutput } from "./blocks.mjs";
import { installed } from "./others.mjs";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));

/** A program of a page does a few small things. */
const DEADLINE_MS = 60_000;

/** The packages that the programs import, unless a block of the page installs them. */
const PACKAGES = ["tokenkeep", "@azure/msal-node", "@azure/identity"];

/** The pages by their paths in the repository. @type {string[]} */
const PAGES = ["README.md", "bindings/node/README.md", "crates/tokenkeep/README.md"];
PAGES.push(
  "crates/tokenkeep-azure/README.md",
  "crates/tokenkeep-server/README.md",
  "bindings/python/README.md",
);
for (const name of await readdir(join(ROOT, "docs/guide"), { recursive: true }).catch(() => [])) {
  if (name.endsWith(".md")) {
    PAGES.push(`docs/guide/${name}`);
  }
}

/** @type {(() => unknown)[]} */
const ends = [];
/** @type {string} */
let project;
/** @type {NodeJS.ProcessEnv} */
let env;

before(async () => {
  const scope = { after: (/** @type {() => unknown} */ end) => void ends.unshift(end) };
  const npm = await environment(scope, { others: installed });
  const session = await startSession(scope, "keyring");
  const settings = Object.entries(npm).filter(([name]) => name.startsWith("npm_config_"));
  const python = process.env.TOKENKEEP_PYTHON;
  const path = python ? `${dirname(python)}:${process.env.PATH}` : process.env.PATH;
  const PYTHONPATH = process.env.TOKENKEEP_PYTHON_PACKAGE;
  env = { ...session.env, ...Object.fromEntries(settings), PATH: path, PYTHONPATH };
  project = await scratchDirectory(scope);
  await writeFile(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  await succeeded("npm", ["install", ...PACKAGES], project);
});

after(async () => {
  for (const end of ends) {
    await end();
  }
});

/** @param {string} program @param {string[]} args @param {string} cwd */
async function succeeded(program, args, cwd) {
  const { code, signal, stdout, stderr } = await run(program, args, { cwd, env, deadline: DEADLINE_MS });
  assert.equal(code ?? signal, 0, `${program} ${args.join(" ")}\n${stdout}${stderr}`);
  return stdout;
}

test("every page with a Rust program is part of tokenkeep-pages, or of its crate", async () => {
  const included = await readFile(join(ROOT, "crates/pages/src/lib.rs"), "utf8");
  for (const path of PAGES) {
    const page = await readFile(join(ROOT, path), "utf8").catch(() => "");
    if (blocks(page).some(({ language }) => language === "rust") && !path.startsWith("crates/tokenkeep-")) {
      assert.ok(
        included.includes(`/${path.replace(/^crates\//, "")}"`),
        `${path} is not in crates/pages/src/lib.rs`,
      );
    }
  }
});

for (const path of PAGES) {
  const page = await readFile(join(ROOT, path), "utf8").catch(() => undefined);
  if (page === undefined) {
    continue;
  }
  test(path, async (t) => {
    const folder = await mkdtemp(join(project, "page-"));
    /** The programs so far, by language. @type {Record<string, string>} */
    const programs = {};
    let printed = "";
    for (const block of blocks(page)) {
      const { language, line, text, words } = block;
      await t.test(`${path}:${line} ${language} ${[...words].join(" ")}`, async () => {
        assert.equal(fault(block), undefined);
        if (words.has("output")) {
          assert.ok(isOutput(printed, text), `the block before it prints\n${printed}\nnot\n${text}`);
        } else if (block.file) {
          await store(folder, block.file, text);
        } else if (language === "sh") {
          await writeFile(join(folder, "block.sh"), text);
          const flags = words.has("shown") ? ["-n"] : ["-e"];
          printed = await succeeded("sh", [...flags, "block.sh"], folder);
        } else if (language === "js" || language === "python") {
          const program = (words.has("continues") ? (programs[language] ?? "") : "") + text;
          programs[language] = program;
          printed = await play(folder, language, program, words.has("shown"));
        } else if (language === "json") {
          JSON.parse(text);
        }
      });
    }
  });
}

/**
 * Runs a program, or checks its syntax.
 *
 * @param {string} folder
 * @param {"js" | "python"} language
 * @param {string} program
 * @param {boolean} isShown
 */
async function play(folder, language, program, isShown) {
  const file = language === "js" ? "block.mjs" : "block.py";
  await writeFile(join(folder, file), program);
  if (language === "js") {
    return succeeded(process.execPath, isShown ? ["--check", file] : [file], folder);
  }
  return succeeded("python3", isShown ? ["-m", "py_compile", file] : [file], folder);
}

/** @param {string} folder @param {string} name @param {string} text */
async function store(folder, name, text) {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  if (name !== "package.json") {
    await writeFile(path, text);
    return;
  }
  const manifest = JSON.parse(
    await readFile(path, "utf8").catch(() => '{ "private": true, "type": "module" }'),
  );
  for (const [member, value] of Object.entries(JSON.parse(text))) {
    manifest[member] = typeof value === "object" ? { ...manifest[member], ...value } : value;
  }
  await writeFile(path, JSON.stringify(manifest));
}
