// Finds and loads the addon of the platform this process runs on. One package per platform carries it, as an optional
// dependency that npm chooses by `os`, `cpu` and `libc`.
//
// It is loaded from where `search.ts` finds it. No package is required by name: the first one of that name, in whatever directory
// above, would run. Only what a bundle holds is required, by `tokenkeep/embed`.
import { isAbsolute, toNamespacedPath } from "node:path";
import { PersistenceError } from "../error";
import type { Addon } from "../face";
import { VERSION } from "../version";
import { platformName } from "./platform-name";
import { EMBEDDED, type Embedded, isPlatform, type Platform } from "./platforms";
import { isReleased, Search } from "./search";
import { objection } from "./trust";

/**
 * The addon.
 *
 * @throws PersistenceError `NotSupportedError` with the code `addon_missing` when there is none for this platform or it is
 * not installed, `addon_unusable` when it is there but cannot be loaded, or may not.
 */
export function loadAddon(): Addon {
  const platform = platformName();
  const search = new Search(platform);
  const named = overriding(search);
  if (named !== undefined) {
    return loaded(`the file that TOKENKEEP_NATIVE_PATH names, ${named},`, named);
  }
  const found = search.addon();
  if (found !== undefined) {
    return loaded(`the addon ${found}`, found);
  }
  const embedded = (globalThis as { [EMBEDDED]?: Embedded })[EMBEDDED];
  return (embedded && embeddedAddon(embedded, search)) ?? refused(search);
}

/**
 * The executable of the command, which lies beside the addon.
 *
 * @throws PersistenceError as {@link loadAddon}. Error where the platform's package has no command.
 */
export function executablePath(): string {
  const search = new Search(platformName());
  const found = search.command();
  if (found === undefined && search.objections.length === 0 && search.isInstalled()) {
    const name = `tokenkeep-${search.platform}`;
    throw new Error(`The executable of the command is not in ${name}. ${reinstall(name)}`);
  }
  return found ?? refused(search);
}

/** What to do about files that are missing or damaged. */
export function reinstall(name: string): string {
  return `Install both anew: "npm install tokenkeep@${VERSION} ${name}@${VERSION}"`;
}

/** Throws the error where nothing was found that may be used. */
function refused({ platform, objections, searched }: Search): never {
  const [first] = objections;
  if (first !== undefined) {
    throw failure("addon_unusable", `${first.path} is not loaded: ${first.why}`);
  }
  if (!isPlatform(platform)) {
    throw failure(
      "addon_missing",
      `there is none for ${platform}${platform === "win32-ia32-msvc" ? ". On 64-bit Windows use Node.js for x64" : ""}`,
    );
  }
  const name = `tokenkeep-${platform}`;
  throw failure(
    "addon_missing",
    `this is ${platform}, and the package ${name} is not installed${searched ? "" : " where it could be searched"}. It is an ` +
      "optional dependency of tokenkeep, which npm leaves out with --omit=optional, and where a lock file was written on another " +
      "platform (https://github.com/npm/cli/issues/4828): delete node_modules and package-lock.json and install again, or run " +
      `"npm install ${name}@${VERSION}". In a bundle, import "tokenkeep/embed", or keep the package beside the bundle`,
  );
}

let ignored = false;

/** The file that the environment names, for those who work on this package. */
function overriding({ asker }: Search): string | undefined {
  const file = process.env.TOKENKEEP_NATIVE_PATH;
  if (!file) {
    return undefined;
  }
  // Whoever sets a variable must not get code into a program that is signed, restricted, or simply another user's.
  const { electron } = process.versions as { electron?: string };
  const { permission } = process as { permission?: unknown };
  if (isReleased() || electron !== undefined || permission !== undefined) {
    if (!ignored) {
      ignored = true;
      const why =
        "it counts in a checkout of tokenkeep alone, outside of Electron and of Node's permission model";
      process.emitWarning(`TOKENKEEP_NATIVE_PATH is ignored: ${why}`, { code: "TOKENKEEP_NATIVE_PATH" });
    }
    return undefined;
  }
  const what = `the file that TOKENKEEP_NATIVE_PATH names, ${file},`;
  if (!isAbsolute(file) || !file.endsWith(".node")) {
    throw failure("addon_unusable", `${what} is not loaded: give the absolute path of a file *.node`);
  }
  let against: string | undefined;
  try {
    against = objection(file, undefined, asker)?.why;
  } catch (cause) {
    throw unusable(what, cause);
  }
  if (against !== undefined) {
    throw failure("addon_unusable", `${what} is not loaded: ${against}`);
  }
  return file;
}

/** The addon in this bundle; `undefined` where it has none for this platform. */
function embeddedAddon(embedded: Embedded, search: Search): Addon | undefined {
  // A bundle without the binary would require the package by name, from wherever there is one. What may be loaded has been found.
  if (search.objections.some(({ foreign }) => foreign) || search.wouldFindOutside()) {
    return undefined;
  }
  let held: unknown;
  try {
    held = embedded(search.platform as Platform);
  } catch (cause) {
    throw unusable("the addon in this bundle", cause);
  }
  return held === undefined ? undefined : sameVersion("the addon in this bundle", held);
}

/** The same call as in `require` for an addon, with the long form of a path, which Windows needs beyond 260 characters. */
function loaded(what: string, file: string): Addon {
  const module = { exports: {} };
  try {
    process.dlopen(module, toNamespacedPath(file));
  } catch (cause) {
    throw unusable(what, cause);
  }
  return sameVersion(what, module.exports);
}

function unusable(what: string, cause: unknown): PersistenceError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const remedy = code === "ERR_DLOPEN_DISABLED" ? ". Start Node.js with --allow-addons" : whyBlocked(message);
  return failure("addon_unusable", `${what} cannot be loaded: ${message}${remedy}`, cause);
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
