// @ts-check
// Says what a published package contains of other people's work: `sbom.cdx.json` (CycloneDX 1.5) and
// `THIRD-PARTY-NOTICES.txt`, from what cargo knows of the crates that are linked into its binaries for one target.
//
// Usage: node components.mjs FOLDER [TARGET CRATE...]. FOLDER is the package, with its package.json; each CRATE of the
// workspace is linked into a binary of its own (the addon, the command); without TARGET the package holds nothing but our own JavaScript, and both files say so. Nothing in them depends on the time or the machine.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Files that a licence asks to be passed on. */
const LICENCE_FILE = /^(licen[cs]e|copying|notice|unlicense|copyright)([-._].*)?$/i;

/**
 * @typedef {object} Package
 * @property {string} id
 * @property {string} name
 * @property {string} version
 * @property {string | null} source        null for our own
 * @property {string | null} license
 * @property {string | null} repository
 * @property {string} manifest_path
 * @property {{ kind: string[] }[]} targets
 *
 * @typedef {object} Node
 * @property {string} id
 * @property {{ pkg: string, dep_kinds: { kind: string | null }[] }[]} deps
 */

/** @param {string} target @returns {{ packages: Package[], nodes: Node[] }} */
function metadata(target) {
  // Without the core's own features, as the addon is built: other members of the workspace ask for them.
  const words = ["metadata", "--format-version", "1", "--locked", "--no-default-features"];
  words.push("--filter-platform", target);
  const text = execFileSync("cargo", words, { cwd: ROOT, encoding: "utf8", maxBuffer: 256 << 20 });
  const { packages, resolve } = JSON.parse(text);
  return { packages, nodes: resolve.nodes };
}

/**
 * The crates whose code ends up in a binary: no tests, no build scripts, no macros.
 *
 * @param {string} target
 * @param {string[]} binaries
 */
function linked(target, binaries) {
  const { packages, nodes } = metadata(target);
  const byId = new Map(packages.map((one) => [one.id, one]));
  const edges = new Map(nodes.map((node) => [node.id, node.deps]));
  /** @type {Map<string, string[]>} */
  const found = new Map();
  for (const name of binaries) {
    const root = packages.find((one) => one.name === name && one.source === null);
    if (!root) {
      throw new Error(`the workspace has no package ${name}`);
    }
    found.set(root.id, []);
  }
  for (const [id, below] of found) {
    for (const { pkg, dep_kinds } of edges.get(id) ?? []) {
      const runs = dep_kinds.some(({ kind }) => kind === null);
      const isMacro = byId.get(pkg)?.targets.some(({ kind }) => kind.includes("proc-macro"));
      if (runs && !isMacro) {
        below.push(pkg);
        // A map that is iterated over also gives what is added meanwhile.
        found.set(pkg, found.get(pkg) ?? []);
      }
    }
  }
  const crates = [...found].map(([id, below]) => ({
    ...crate(byId, id),
    below: below.map((one) => crate(byId, one)),
  }));
  return crates.filter((one) => one.source !== null).sort((a, b) => (a.reference < b.reference ? -1 : 1));
}

/** @param {Map<string, Package>} byId @param {string} id */
function crate(byId, id) {
  const one = byId.get(id);
  if (!one) {
    throw new Error(`cargo mentions ${id} without describing it`);
  }
  // Some still write MIT/Apache-2.0, which is no SPDX expression.
  const license = one.license?.replaceAll("/", " OR ");
  if (one.source !== null && !license) {
    throw new Error(`${one.name} ${one.version} does not say its licence`);
  }
  return { ...one, license: license ?? "MIT", reference: `pkg:cargo/${one.name}@${one.version}` };
}

/** Checksums of the crates as published. @returns {Map<string, string>} */
function checksums() {
  const lock = readFileSync(join(ROOT, "Cargo.lock"), "utf8");
  const entries = lock.matchAll(/name = "(.+)"\nversion = "(.+)"\nsource = .+\nchecksum = "(.+)"/g);
  return new Map([...entries].map(([, name, version, sum]) => [`pkg:cargo/${name}@${version}`, `${sum}`]));
}

/** @param {{ name: string, version: string, license: string }} manifest @param {ReturnType<typeof linked>} crates */
function sbom(manifest, crates) {
  const sums = checksums();
  const self = `pkg:npm/${manifest.name}@${manifest.version}`;
  const known = new Set(crates.map(({ reference }) => reference));
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      component: {
        type: "library",
        "bom-ref": self,
        name: manifest.name,
        version: manifest.version,
        licenses: [{ expression: manifest.license }],
        purl: self,
      },
    },
    components: crates.map(({ name, version, license, repository, reference }) => ({
      type: "library",
      "bom-ref": reference,
      name,
      version,
      ...(sums.has(reference) && { hashes: [{ alg: "SHA-256", content: sums.get(reference) }] }),
      licenses: [{ expression: license }],
      purl: reference,
      ...(repository && { externalReferences: [{ type: "vcs", url: repository }] }),
    })),
    dependencies: [
      { ref: self, dependsOn: [...known] },
      ...crates.map(({ reference, below }) => ({
        ref: reference,
        dependsOn: below
          .map((one) => one.reference)
          .filter((one) => known.has(one))
          .sort(),
      })),
    ],
  };
}

/**
 * The licence files of a crate. Where it offers the MIT licence among others, we take that one. Where it ships no file,
 * its licence's name and home have to do.
 *
 * @param {Package} one
 */
function licenceText({ manifest_path, license, repository }) {
  const folder = dirname(manifest_path);
  const files = readdirSync(folder)
    .filter((file) => LICENCE_FILE.test(file))
    .sort();
  const chosen = files.filter((file) => /mit/i.test(file) || /notice|copyright/i.test(file));
  const offersMit = /\bMIT\b/.test(license ?? "") && !/\bAND\b/.test(license ?? "");
  const wanted = offersMit && files.some((file) => /mit/i.test(file)) ? chosen : files;
  const parts = wanted.map((file) => readFileSync(join(folder, file), "utf8").trim());
  return parts.join("\n\n") || `(Published without a licence file: ${license}, see ${repository})`;
}

/** @param {{ name: string }} manifest @param {ReturnType<typeof linked>} crates */
function notices({ name }, crates) {
  if (crates.length === 0) {
    return `${name} contains no third-party code. Its native part is in packages of its own, each with its notices.\n`;
  }
  const head = `${name} holds binaries that contain code of these Rust crates, and of the Rust standard library
(https://github.com/rust-lang/rust, MIT OR Apache-2.0, copyright The Rust Project contributors).`;
  /** Crates of one workspace have the same text. @type {Map<string, string[]>} */
  const byText = new Map();
  for (const one of crates) {
    const text = licenceText(one);
    byText.set(text, [...(byText.get(text) ?? []), `${one.name} ${one.version} (${one.license})`]);
  }
  const parts = [...byText].map(([text, names]) => `${names.join("\n")}\n\n${text}`);
  return `${[head, ...parts].join(`\n\n${"-".repeat(80)}\n\n`)}\n`;
}

const [folder, target, ...binaries] = process.argv.slice(2);
if (folder === undefined || (target !== undefined && binaries.length === 0)) {
  throw new Error("usage: node components.mjs FOLDER [TARGET CRATE...]");
}
const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const crates = target === undefined ? [] : linked(target, binaries);
writeFileSync(join(folder, "sbom.cdx.json"), `${JSON.stringify(sbom(manifest, crates), null, 2)}\n`);
writeFileSync(join(folder, "THIRD-PARTY-NOTICES.txt"), notices(manifest, crates));
