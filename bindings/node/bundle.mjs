// @ts-check
/**
 * Makes `dist` of `ts`: the compiler checks everything and leaves modules and types, of which rollup makes one file per
 * entry, because a program that imports the package waits for every file of it (docs/adr: one file per entry).
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rollup } from "rollup";
import { dts } from "rollup-plugin-dts";

const PACKAGE = fileURLToPath(new URL(".", import.meta.url));
const DIST = join(PACKAGE, "dist");

/** What a program imports: `ts/NAME.ts` becomes CommonJS with the code, and an ES module that gives the same on by name. */
const ENTRIES = ["index", "identity", "embed", "server"];

/**
 * `ts/NAME.ts` that an entry requires when it is needed. What most programs do not need costs them the time to parse it
 * with every start. They share nothing with the main entry but types: a class in two files would be two classes.
 */
const LATER = ["watching", "brokering", "natives"];

/** `ts/NAME.ts` that npm makes a command of. */
const COMMANDS = ["command"];

/** Other entries use the main one as it is, so that there is one identity of each class. @param {string} source */
function isMainEntry(source) {
  return /^\.\.?\/index\.js$/.test(source);
}

/** Compiles `ts` into `folder`. @param {string} folder @param {string[]} options */
function compile(folder, ...options) {
  const compiler = join(PACKAGE, "node_modules", "typescript", "bin", "tsc");
  // Compile to ES modules, whose imports rollup can follow, for each output format.
  const words = ["-p", PACKAGE, "--module", "esnext", "--moduleResolution", "bundler", "--outDir", folder];
  const { status } = spawnSync(process.execPath, [compiler, ...words, ...options], { stdio: "inherit" });
  if (status !== 0) {
    process.exit(status ?? 1);
  }
}

/**
 * Node's own modules come from `process.getBuiltinModule` where there is one: a `require` fails in the ES modules that
 * bundlers make of programs that use this package.
 *
 * @type {import("rollup").Plugin}
 */
const builtins = {
  name: "builtins",
  resolveId: (source) => (source.startsWith("node:") ? `\0${source}` : null),
  load: (id) =>
    id.startsWith("\0node:")
      ? {
          code: `export default (process.getBuiltinModule ?? require)(${JSON.stringify(id.slice(1))});`,
          syntheticNamedExports: true,
          moduleSideEffects: false,
        }
      : null,
};

/** @type {import("rollup").Plugin} */
const mainEntry = {
  name: "main entry",
  resolveId: (source) => (isMainEntry(source) ? { id: "./index.js", external: "absolute" } : null),
};

/** Without a suffix, of which a module resolver of the compiler's makes a file. @param {string} suffix @returns {import("rollup").Plugin} */
const neighbours = (suffix) => ({
  name: "neighbours",
  resolveId: (source, importer) =>
    importer && /^\.\.?\//.test(source) ? join(importer, "..", source.replace(/\.js$/, "") + suffix) : null,
});

/** The code of an entry, in one file; gives the names of its exports. @param {string} from @param {string} name */
async function bundle(from, name) {
  const built = await rollup({
    input: join(from, `${name}.js`),
    plugins: [mainEntry, builtins, neighbours(".js")],
    onwarn: refuse,
  });
  const { output } = await built.write({
    file: join(DIST, `${name}.js`),
    format: "cjs",
    exports: "named",
    esModule: true,
    generatedCode: { preset: "es2015", symbols: false },
    // Exports are plain properties: tests of programs replace them, as they could with the original.
    externalLiveBindings: false,
    banner: COMMANDS.includes(name) ? "#!/usr/bin/env node" : "",
  });
  const [, renamed] = output[0].code.match(/^class (\w+\$\d)/m) ?? [];
  if (renamed !== undefined) {
    throw new Error(`Two classes have the name of ${renamed}, which programs would see: rename one`);
  }
  return output[0].exports;
}

/** The types of an entry, in one file. @param {string} from @param {string} name */
async function declarations(from, name) {
  const built = await rollup({
    input: join(from, `${name}.d.ts`),
    plugins: [mainEntry, neighbours(".d.ts"), dts()],
    onwarn: refuse,
  });
  const { output } = await built.write({ file: join(DIST, `${name}.d.ts`), format: "es" });
  // A program that exports what it gets from a function must be able to name its type (TS2742).
  const { code, exports } = output[0];
  for (const [, declared = ""] of code.matchAll(
    /^(?:declare )?(?:abstract )?(?:class|const|function|interface|type) (\w+)/gm,
  )) {
    if (!exports.includes(declared)) {
      throw new Error(`${declared} is in a public signature: export it from ts/${name}.ts`);
    }
  }
}

/** @param {import("rollup").RollupLog} warning */
function refuse(warning) {
  // The types of `embed`, which exports nothing.
  if (warning.code === "EMPTY_BUNDLE") {
    return;
  }
  throw new Error(warning.message, { cause: warning });
}

/**
 * The ES module beside an entry: one implementation, one class identity. A second one of the main entry is for Node alone,
 * which takes longer to look for the names of a CommonJS module's exports than to load it. Bundlers cannot follow that one;
 * they do not have the condition `node-addons` by which package.json tells it to Node.
 *
 * @param {string} name
 * @param {string[]} exports
 */
function faces(name, exports) {
  const names = exports.join(", ");
  const some = exports.length > 0;
  const code = some ? `export { ${names} } from "./${name}.js";` : `import "./${name}.js";`;
  writeFileSync(join(DIST, `${name}.mjs`), `${code}\n`);
  writeFileSync(join(DIST, `${name}.d.mts`), some ? `export * from "./${name}.js";\n` : "export {};\n");
  if (name === "index") {
    const node = `import { createRequire } from "node:module";
export const { ${names} } = createRequire(import.meta.url)("./index.js");
`;
    writeFileSync(join(DIST, "index.node.mjs"), node);
  }
}

const built = mkdtempSync(join(tmpdir(), "tokenkeep-build-"));
try {
  rmSync(DIST, { recursive: true, force: true });
  // Comments are for readers of the types: each program would wait for them in the code.
  compile(built, "--declaration", "false", "--removeComments");
  compile(built, "--emitDeclarationOnly");
  for (const name of ENTRIES) {
    faces(name, await bundle(built, name));
    await declarations(built, name);
  }
  for (const name of [...LATER, ...COMMANDS]) {
    await bundle(built, name);
  }
} finally {
  rmSync(built, { recursive: true });
}
