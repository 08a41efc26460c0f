// @ts-check
/**
 * Compiles programs against the package as its users do: every kind of module, every way to resolve one, several
 * compilers, and with the types of libraries checked as well. Needs `npm run build` before.
 */
import { spawn } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const MODULES = join(PACKAGE, "node_modules");

/** The newest compiler, the newest with the older engine, and the oldest we support. */
const COMPILERS = ["typescript", "typescript-5", "typescript-4"];
const RESOLUTIONS = [
  { resolution: "node16", module: "node16" },
  { resolution: "nodenext", module: "nodenext" },
  { resolution: "bundler", module: "esnext" },
  // Without `exports`: as programs that were never moved on resolve modules.
  { resolution: "node", module: "commonjs" },
];

/** @typedef {{ name: string, compiler: string, program: string, type: string, options: Record<string, unknown> }} Case */

/** @returns {Case[]} */
function cases() {
  /** @type {Case[]} */
  const all = [];
  for (const compiler of COMPILERS) {
    for (const { resolution, module } of RESOLUTIONS) {
      if (compiler === "typescript-4" && resolution === "bundler") {
        continue; // Came with TypeScript 5.
      }
      if (compiler === "typescript" && resolution === "node") {
        continue; // Went with TypeScript 7.
      }
      for (const type of ["module", "commonjs"]) {
        for (const program of ["plain", "identity", "declarations", "msal"]) {
          if (program === "msal" && compiler === "typescript-4") {
            continue; // msal-node's own types need a newer compiler.
          }
          if (resolution === "node" && (type === "module" || program === "msal")) {
            continue; // msal-node has no types there.
          }
          if (program === "declarations" && compiler === "typescript-4" && type === "module") {
            continue; // It cannot name a CommonJS type in an ES module's declarations (TS2841), whatever the package does.
          }
          if (program !== "plain" && program !== "msal" && resolution === "nodenext") {
            continue; // Finds entries as node16 does.
          }
          // msal-node's own types do not compile for CommonJS: they re-export an ES module (TS1479).
          const skipLibCheck = program === "msal" && type === "commonjs" && resolution !== "bundler";
          const types = program === "msal" ? ["node"] : [];
          all.push({
            name: `${program}.ts, ${compiler}, ${resolution}, ${type}`,
            compiler,
            program,
            type,
            options: { module, moduleResolution: resolution, skipLibCheck, types },
          });
        }
      }
    }
  }
  return all;
}

/** @param {string} root @param {Case} one @param {number} index */
async function compile(root, { compiler, program, type, options }, index) {
  const project = join(root, String(index));
  await mkdir(join(project, "node_modules", "@azure"), { recursive: true });
  await symlink(PACKAGE, join(project, "node_modules", "tokenkeep"));
  if (program === "msal") {
    await symlink(join(MODULES, "@azure", "msal-node"), join(project, "node_modules", "@azure", "msal-node"));
    await symlink(join(MODULES, "@types"), join(project, "node_modules", "@types"));
  }
  await copyFile(join(HERE, `${program}.ts`), join(project, "main.ts"));
  await writeFile(join(project, "package.json"), JSON.stringify({ type }));
  const emitted = program === "declarations" ? { declaration: true, outDir: "out" } : { noEmit: true };
  const compilerOptions = { strict: true, target: "es2020", lib: ["es2020"], ...emitted, ...options };
  await writeFile(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["main.ts"] }));
  const tsc = join(MODULES, compiler, "bin", "tsc");
  return await new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [tsc, "-p", project], { timeout: 120_000 });
    let output = "";
    child.stdout.on("data", (text) => {
      output += text;
    });
    child.stderr.on("data", (text) => {
      output += text;
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}

const root = await mkdtemp(join(tmpdir(), "tokenkeep-types-"));
const queue = [...cases().entries()];
let passed = 0;
let failed = 0;
await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const [index, one] = next;
      const { code, output } = await compile(root, one, index);
      console.log(`${code === 0 ? "ok    " : "FAILED"} ${one.name}`);
      if (code === 0) {
        passed += 1;
      } else {
        failed += 1;
        console.log(output);
      }
    }
  }),
);
await rm(root, { recursive: true });
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
