// @ts-check
/**
 * Makes `dist` of `ts`: types by the compiler, which also checks everything, and one JavaScript file per entry by
 * esbuild, because a program that imports the package waits for every file of it (docs/adr: one file per entry).
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const PACKAGE = fileURLToPath(new URL(".", import.meta.url));
const DIST = join(PACKAGE, "dist");

/** Each is `ts/NAME.ts` for CommonJS, which holds the code, and `ts/NAME.mts`, which gives the same to ES modules. */
const ENTRIES = ["index", "identity", "embed"];

/**
 * `ts/NAME.ts` that an entry requires when it is needed. What most programs do not need costs them the time to parse it
 * with every start. They share nothing with the main entry but types: a class in two files would be two classes.
 */
const LATER = ["watching", "brokering"];

/** `ts/NAME.ts` that npm makes a command of. */
const COMMANDS = ["command"];

/** Other entries use the main one as it is, so that there is one identity of each class. */
const mainEntry = {
  name: "main entry",
  /** @param {import("esbuild").PluginBuild} build */
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.?\/index\.js$/ }, () => ({ path: "./index.js", external: true }));
  },
};

/** @param {string[]} words */
function compile(...words) {
  const compiler = join(PACKAGE, "node_modules", "typescript", "bin", "tsc");
  const { status } = spawnSync(process.execPath, [compiler, "-p", PACKAGE, ...words], { stdio: "inherit" });
  if (status !== 0) {
    process.exit(status ?? 1);
  }
}

/** @param {string} name */
async function bundle(name) {
  const outfile = join(DIST, `${name}.js`);
  await build({
    entryPoints: [join(PACKAGE, "ts", `${name}.ts`)],
    outfile,
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20",
    charset: "utf8",
    packages: "external",
    external: LATER.map((later) => `./${later}.js`),
    plugins: [mainEntry],
    logLevel: "warning",
  });
  const first = COMMANDS.includes(name) ? "#!/usr/bin/env node\n" : "";
  writeFileSync(outfile, first + finish(readFileSync(outfile, "utf8")));
}

/**
 * Three things that esbuild does not do.
 *
 * Node's own modules come from `process.getBuiltinModule` where there is one: a `require` fails in the ES modules that
 * bundlers make of programs that use this package. And exports are plain properties: tests of programs replace them,
 * as they could with the original, but esbuild's getters cannot be replaced. What it makes those with goes: it takes a
 * twentieth of the time of a `require`.
 * And classes keep their names, of which esbuild makes `_Name` where a class mentions itself.
 *
 * @param {string} code
 */
function finish(code) {
  const strict = '"use strict";\n';
  const head = `${strict}const builtinModule = process.getBuiltinModule ?? require;\n`;
  const body = code
    .replace(strict, "")
    .replaceAll(/require\("(node:\w+)"\)/g, 'builtinModule("$1")')
    .replaceAll(/\b_([A-Z]\w*)\b/g, (found, name) =>
      code.includes(`var ${name} = class ${found} `) ? name : found,
    );
  // Two files that have one name for different things get different ones in a bundle, of which an export shows the first.
  for (const [, outside, inside] of body.matchAll(/^ {2}(\w+): \(\) => (\w+),?$/gm)) {
    if (outside !== inside) {
      throw new Error(`"${outside}" is exported, and the name of something else as well: rename that`);
    }
  }
  // What esbuild leaves for readers of export names, put to use.
  const [before, names] = body.split("0 && (module.exports = {");
  if (names === undefined) {
    return head + body;
  }
  const getters = /^var __defProp[\s\S]*?^module\.exports = __toCommonJS\(\w+\);\n/m;
  if (!getters.test(before ?? "") || /\b__[a-z]\w+\(/.test(body.replace(getters, ""))) {
    throw new Error("esbuild's helpers are used for more than the exports: see what has to stay");
  }
  const mark = 'Object.defineProperty(module.exports, "__esModule", { value: true });\n';
  return `${head}${before?.replace(getters, "")}module.exports = {${names.replace("});", "};")}${mark}`;
}

/** The ES module beside it names what it gives on, so that there is one class identity. @param {string} name */
async function face(name) {
  await build({
    entryPoints: [join(PACKAGE, "ts", `${name}.mts`)],
    outfile: join(DIST, `${name}.mjs`),
    format: "esm",
    target: "node20",
    logLevel: "warning",
  });
}

/**
 * The same for Node alone, which takes longer to look for the names of a CommonJS module's exports than to load it.
 * Bundlers cannot follow this one; they do not have the condition `node-addons` by which package.json tells it to Node.
 */
function nodeFace() {
  const names = Object.keys(createRequire(import.meta.url)(join(DIST, "index.js")));
  const code = `import { createRequire } from "node:module";
export const { ${names.join(", ")} } = createRequire(import.meta.url)("./index.js");
`;
  writeFileSync(join(DIST, "index.node.mjs"), code);
}

/** Removes the types of what no user can name. */
function prune() {
  const kept = new Set(
    ENTRIES.flatMap((name) => [`${name}.d.ts`, `${name}.d.mts`].map((file) => join(DIST, file))),
  );
  for (const file of kept) {
    for (const [, reference] of readFileSync(file, "utf8").matchAll(/(?:from|import\() ?"(\.[^"]+)"/g)) {
      const found = resolve(dirname(file), `${reference}`.replace(/\.js$/, ""));
      // A set that is iterated over also gives what is added meanwhile.
      kept.add(`${found}.d.ts`);
    }
  }
  for (const entry of readdirSync(DIST, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && /\.d\.m?ts$/.test(entry.name) && !kept.has(path)) {
      rmSync(path);
    }
  }
  for (const folder of readdirSync(DIST, { withFileTypes: true })) {
    const path = join(DIST, folder.name);
    if (folder.isDirectory() && readdirSync(path).length === 0) {
      rmSync(path, { recursive: true });
    }
  }
}

if (existsSync(DIST)) {
  rmSync(DIST, { recursive: true });
}
compile("--emitDeclarationOnly");
for (const name of ENTRIES) {
  await bundle(name);
  await face(name);
}
for (const name of [...LATER, ...COMMANDS]) {
  await bundle(name);
}
nodeFace();
prune();
