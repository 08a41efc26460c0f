// Finds the addon of the platform this process runs on. One package per platform carries it, as an optional dependency
// that npm chooses by `os`, `cpu` and `libc`.
//
// The packages are required by way of `createRequire`, not of a `require` that bundlers follow: a bundler would stop at
// the binary, and at the packages of all other platforms, which are not installed. Who wants the binary in the bundle
// imports `tokenkeep/embed`.
//
// The way that nearly every program goes, to the package beside this one, is written in few functions and calls few of
// Node's: each that runs for the first time has to be compiled, and there was a millisecond of that here.
import { existsSync, readFileSync } from "node:fs";
import { dirname, sep, toNamespacedPath } from "node:path";
import { builtin } from "../builtin";
import { PersistenceError } from "../error";
import type { Addon } from "../face";
import { VERSION } from "../version";
import { EMBEDDED, type Embedded, isPlatform, type Platform } from "./platforms";

/**
 * The addon.
 *
 * @throws PersistenceError `NotSupportedError` with the code `addon_missing` when there is none for this platform or it is
 * not installed, `addon_unusable` when it is there but cannot be loaded.
 */
export function loadAddon(): Addon {
  const override = process.env.TOKENKEEP_NATIVE_PATH;
  if (override) {
    return overridden(override);
  }
  // Whether there is any for it shows where none is found.
  const platform = platformName() as Platform;
  const embedded = (globalThis as { [EMBEDDED]?: Embedded })[EMBEDDED];
  const held = embedded && loaded("the addon in this bundle", () => embedded(platform));
  if (held !== undefined) {
    return sameVersion("the addon in this bundle", held);
  }
  const name = `tokenkeep-${platform}`;
  const neighbour = besideThisPackage(name, platform);
  if (neighbour !== undefined) {
    // The same call as in `require` for an addon, with the long form of a path, which Windows needs beyond 260 characters.
    const module = { exports: {} };
    try {
      process.dlopen(module, toNamespacedPath(neighbour));
    } catch (cause) {
      throw unusable(`${name}, which is installed,`, cause);
    }
    const addon = module.exports as Addon;
    return addon.version?.() === VERSION ? addon : sameVersion(`${name}, which is installed,`, addon);
  }
  return searched(name, platform);
}

/** The addon where Node's own search finds it. */
function searched(name: string, platform: Platform): Addon {
  if (isPlatform(platform)) {
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
  }
  throw notInstalled(platform);
}

/** The error where the package of a platform is not there. */
export function notInstalled(platform: string): PersistenceError {
  if (!isPlatform(platform)) {
    return failure("addon_missing", `there is none for ${platform}`);
  }
  const name = `tokenkeep-${platform}`;
  return failure(
    "addon_missing",
    `this is ${platform}, and the package ${name} is not installed. It is an optional dependency of tokenkeep, which npm ` +
      "leaves out with --omit=optional, and where a lock file was written on another platform " +
      "(https://github.com/npm/cli/issues/4828): delete node_modules and package-lock.json and install again, or run " +
      `"npm install ${name}@${VERSION}". In a bundle, import "tokenkeep/embed", or keep the package beside the bundle`,
  );
}

/** The addon that the environment names. */
function overridden(file: string): Addon {
  const what = `the file that TOKENKEEP_NATIVE_PATH names, ${file},`;
  return sameVersion(
    what,
    loaded(what, () => requireFrom(here())(file)),
  );
}

/** The file of the addon that is installed for a platform, whether or not it loads; not one in a bundle. */
export function addonPath(platform: string): string | undefined {
  if (!isPlatform(platform)) {
    return undefined;
  }
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
  const own = dirname(dirname(typeof __filename === "string" ? __filename : here()));
  let packages = dirname(own);
  // In a folder of packages lie others, and those of an organisation one folder further down.
  if (packages.slice(packages.lastIndexOf(sep) + 1).startsWith("@")) {
    packages = dirname(packages);
  }
  // Packages of this one's own would come first.
  if (!packages.endsWith(`${sep}node_modules`) || existsSync(`${own}${sep}node_modules`)) {
    return undefined;
  }
  const file = `${packages}${sep}${name}${sep}tokenkeep.${platform}.node`;
  return existsSync(file) ? file : undefined;
}

/** The places to look in, each with the name to resolve. */
function* candidates(name: string, platform: Platform): Generator<[base: string, wanted: string]> {
  const base = here();
  yield [base, name];
  // A program's bundle: strict package managers put the addon beside this package only, which has either name.
  for (const own of ["tokenkeep", "@azure/msal-node-extensions"]) {
    const manifest = `${own}/package.json`;
    const require = requireFrom(base);
    if (isThere(require, manifest)) {
      yield [require.resolve(manifest), name];
    }
  }
  // A program's bundle, with a copy of the addon beside it.
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

/** musl's names of the processors that Node names otherwise. */
const MUSL_NAMES: Readonly<Record<string, string>> = {
  x64: "x86_64",
  arm64: "aarch64",
  arm: "armhf",
  ppc64: "powerpc64le",
};

/** Node's name of the platform, on Linux and Windows with the C library. */
export function platformName(): string {
  const { platform, arch } = process;
  if (platform === "linux") {
    // A process that runs on musl has musl's loader, which costs a look.
    const musl = existsSync(`/lib/ld-musl-${MUSL_NAMES[arch] ?? arch}.so.1`) && usesMusl();
    // The addon for arm has instructions that a processor of version 6 does not know.
    const variables = process.config?.variables as { arm_version?: string } | undefined;
    const old = arch === "arm" && Number(variables?.arm_version) < 7;
    return `linux-${old ? "armv6" : arch}-${musl ? "musl" : "gnu"}`;
  }
  return platform === "win32" ? `win32-${arch}-msvc` : `${platform}-${arch}`;
}

/** Tells by the C library in this process's memory, for systems with both installed. */
function usesMusl(): boolean {
  let maps = "";
  try {
    maps = readFileSync("/proc/self/maps", "utf8");
  } catch {
    // No such file system here; there is another way to tell.
  }
  // As the files are really called: musl's loader is its library, glibc's was `libc-2.33.so` and older once.
  if (maps.includes("/ld-musl-") || maps.includes("-musl/libc.so")) {
    return true;
  }
  return !(maps.includes("/libc.so.6") || maps.includes("/libc-2.")) && reportsMusl();
}

/** By Node's report, which takes longer than everything else here, for a program that is linked without a loader. */
function reportsMusl(): boolean {
  const { report } = process;
  if (report === undefined) {
    return true;
  }
  // Without the network part, which would resolve host names.
  const { excludeNetwork } = report as { excludeNetwork?: boolean };
  (report as { excludeNetwork?: boolean }).excludeNetwork = true;
  try {
    const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
    return header?.glibcVersionRuntime === undefined;
  } finally {
    (report as { excludeNetwork?: boolean }).excludeNetwork = excludeNetwork;
  }
}

function loaded(what: string, load: () => unknown): unknown {
  try {
    return load();
  } catch (cause) {
    throw unusable(what, cause);
  }
}

function unusable(what: string, cause: unknown): PersistenceError {
  const { message } = cause as Error;
  return failure("addon_unusable", `${what} cannot be loaded: ${message}${whyBlocked(message)}`, cause);
}

/** What to do where the system forbids the file: installing it anew would not help. */
function whyBlocked(message: string): string {
  if (/Application Control|\b4551\b/i.test(message)) {
    return (
      ". Windows' Smart App Control or App Control for Business allows no file that it does not know: ask your " +
      "administrator to allow it, or use a program whose maker has signed its copy"
    );
  }
  if (/code signature|Team ID|library load disallowed/i.test(message)) {
    return (
      ". macOS lets this program load only libraries signed by its own maker: whoever builds the program has to sign " +
      "the addon with it, or give it the entitlement com.apple.security.cs.disable-library-validation"
    );
  }
  return "";
}

function sameVersion(what: string, found: unknown): Addon {
  const version = (found as Addon | undefined)?.version?.();
  if (version !== VERSION) {
    throw anotherVersion(what, version);
  }
  return found as Addon;
}

function anotherVersion(what: string, version: string | undefined): PersistenceError {
  return failure(
    "addon_unusable",
    `${what} has version ${version}, but tokenkeep has ${VERSION}. Install the same version of both`,
  );
}

function failure(code: string, why: string, cause?: unknown): PersistenceError {
  return PersistenceError.createNotSupportedError(
    `tokenkeep has no native addon to work with: ${why}`,
    cause === undefined ? { code } : { code, cause },
  );
}
