// Finds the addon of the platform this process runs on. One package per platform carries it, as an optional dependency
// that npm chooses by `os`, `cpu` and `libc`.
//
// The packages are required by way of `createRequire`, not of a `require` that bundlers follow: a bundler would stop at
// the binary, and at the packages of all other platforms, which are not installed. Who wants the binary in the bundle
// imports `tokenkeep/embed`.
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { builtin } from "../builtin";
import { PersistenceError } from "../persistence-error";
import { VERSION } from "../version";
import type { Addon } from "./addon";
import { EMBEDDED, type Embedded, isPlatform, type Platform } from "./platforms";

/**
 * The addon.
 *
 * @throws PersistenceError `NotSupportedError` with the code `addon_missing` when there is none for this platform or it is
 * not installed, `addon_unusable` when it is there but cannot be loaded.
 */
export function loadAddon(): Addon {
  const override = process.env.TOKENKEEP_NATIVE_PATH;
  if (override === "none") {
    throw failure("addon_missing", "TOKENKEEP_NATIVE_PATH is set to none");
  }
  if (override) {
    const what = `the file that TOKENKEEP_NATIVE_PATH names, ${override},`;
    return sameVersion(
      what,
      loaded(what, () => requireFrom(here())(override)),
    );
  }
  const platform = platformName();
  if (!isPlatform(platform)) {
    throw failure("addon_missing", `there is none for ${platform}`);
  }
  const embedded = loaded("the addon in this bundle", () =>
    (globalThis as { [EMBEDDED]?: Embedded })[EMBEDDED]?.(platform),
  );
  if (embedded !== undefined) {
    return sameVersion("the addon in this bundle", embedded);
  }
  const name = `tokenkeep-${platform}`;
  const neighbour = besideThisPackage(name, platform);
  if (neighbour !== undefined) {
    const what = `${name}, which is installed,`;
    return sameVersion(
      what,
      loaded(what, () => opened(neighbour)),
    );
  }
  for (const [base, wanted] of candidates(name, platform)) {
    const require = requireFrom(base);
    if (isThere(require, wanted)) {
      const what = `${wanted}, which is installed,`;
      return sameVersion(
        what,
        loaded(what, () => require(wanted)),
      );
    }
  }
  throw failure(
    "addon_missing",
    `this is ${platform}, and the package ${name} is not installed. It is an optional dependency of tokenkeep, which npm ` +
      "leaves out with --omit=optional, and where a lock file was written on another platform " +
      "(https://github.com/npm/cli/issues/4828): delete node_modules and package-lock.json and install again, or run " +
      `"npm install ${name}@${VERSION}". In a bundle, import "tokenkeep/embed", or keep the package beside the bundle`,
  );
}

/** The file of the addon that is installed for a platform, whether or not it loads; not one in a bundle. */
export function addonPath(platform: Platform): string | undefined {
  for (const [base, wanted] of candidates(`tokenkeep-${platform}`, platform)) {
    const require = requireFrom(base);
    if (isThere(require, wanted)) {
      return require.resolve(wanted);
    }
  }
  return undefined;
}

/**
 * The addon where package managers put it: in the folder of packages that this one is in. Node's own search finds it
 * there too, and takes a millisecond, as long as everything else before the first use of a store.
 */
function besideThisPackage(name: string, platform: Platform): string | undefined {
  const own = dirname(dirname(here()));
  const parent = dirname(own);
  const packages = basename(parent).startsWith("@") ? dirname(parent) : parent;
  // Packages of this one's own would come first.
  if (basename(packages) !== "node_modules" || existsSync(join(own, "node_modules"))) {
    return undefined;
  }
  const file = join(packages, name, `tokenkeep.${platform}.node`);
  return existsSync(file) ? file : undefined;
}

/** What `require` does with an addon. */
function opened(file: string): unknown {
  const module = { exports: {} };
  process.dlopen(module, file);
  return module.exports;
}

/** Where to look, and for what. */
function* candidates(name: string, platform: Platform): Generator<[base: string, wanted: string]> {
  const base = here();
  yield [base, name];
  // A bundle of somebody's: strict package managers put the addon beside this package only, under whichever name.
  for (const own of ["tokenkeep", "@azure/msal-node-extensions"]) {
    const manifest = `${own}/package.json`;
    const require = requireFrom(base);
    if (isThere(require, manifest)) {
      yield [require.resolve(manifest), name];
    }
  }
  // A bundle beside which somebody copied the addon.
  yield [base, `./tokenkeep.${platform}.node`];
  // A checkout, where the build puts the addon beside package.json.
  yield [base, `../tokenkeep.${platform}.node`];
}

/** The file this code runs in, or what is nearest to it. */
export function here(): string {
  // A bundler may have put this into an ES module, which has no such name.
  return typeof __filename === "string" ? __filename : (process.argv[1] ?? `${process.cwd()}/-`);
}

export function requireFrom(base: string): NodeJS.Require {
  return builtin("node:module").createRequire(base);
}

function isThere(require: NodeJS.Require, wanted: string): boolean {
  try {
    require.resolve(wanted);
    return true;
  } catch {
    // Nothing found by this name; what else can go wrong shows when it is loaded.
    return false;
  }
}

/** Node's name of the platform, on Linux and Windows with the C library. */
export function platformName(): string {
  const { platform, arch } = process;
  if (platform === "linux") {
    return `linux-${arch}-${onMusl() ? "musl" : "gnu"}`;
  }
  return platform === "win32" ? `win32-${arch}-msvc` : `${platform}-${arch}`;
}

function onMusl(): boolean {
  // A process that runs on musl has musl's loader, which costs a look. Both can be installed; then the program itself
  // names the one it was started by. Where it is linked without one, Node's report tells, which takes longer than
  // everything else here. Without the network part, which would resolve host names.
  const loader = { x64: "x86_64", arm64: "aarch64" }[process.arch as string] ?? process.arch;
  if (!existsSync(`/lib/ld-musl-${loader}.so.1`)) {
    return false;
  }
  const starter = loaderOf(process.execPath);
  if (starter !== undefined) {
    return starter === "musl";
  }
  const { report } = process;
  if (report === undefined) {
    return true;
  }
  const { excludeNetwork } = report as { excludeNetwork?: boolean };
  (report as { excludeNetwork?: boolean }).excludeNetwork = true;
  try {
    const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
    return header?.glibcVersionRuntime === undefined;
  } finally {
    (report as { excludeNetwork?: boolean }).excludeNetwork = excludeNetwork;
  }
}

/** Whose loader starts a program, as the beginning of its file names it. */
function loaderOf(program: string): "musl" | "linux" | undefined {
  const beginning = Buffer.alloc(4096);
  try {
    const file = openSync(program, "r");
    try {
      readSync(file, beginning, 0, beginning.length, 0);
    } finally {
      closeSync(file);
    }
  } catch {
    // It may not be read, or is gone; there is another way to tell.
    return undefined;
  }
  // A regular expression would take half a millisecond, most of it to be compiled.
  if (beginning.includes("/ld-musl-")) {
    return "musl";
  }
  return beginning.includes("/ld-linux") ? "linux" : undefined;
}

function loaded(what: string, load: () => unknown): unknown {
  try {
    return load();
  } catch (cause) {
    throw failure("addon_unusable", `${what} cannot be loaded: ${(cause as Error).message}`, cause);
  }
}

function sameVersion(what: string, found: unknown): Addon {
  const version = (found as Addon | undefined)?.version?.();
  if (version !== VERSION) {
    throw failure(
      "addon_unusable",
      `${what} has version ${version}, but tokenkeep has ${VERSION}. Install the same version of both`,
    );
  }
  return found as Addon;
}

function failure(code: string, why: string, cause?: unknown): PersistenceError {
  return PersistenceError.createNotSupportedError(
    `tokenkeep has no native addon to work with: ${why}`,
    cause === undefined ? { code } : { code, cause },
  );
}
