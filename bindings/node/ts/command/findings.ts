// What can be wrong with the installation of the native part: no package for the platform, not installed, of another
// version, without its executable, or not loadable here. Each with its remedy, in the form that `doctor` has for findings.
import { readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { PersistenceError } from "../error";
import { addonPath, loadAddon, platformName } from "../handle/locate";
import { isPlatform } from "../handle/platforms";
import { VERSION } from "../version";

/** One thing that should be otherwise. `code` is stable, for programs and search engines. */
export interface Finding {
  code: string;
  severity: "problem" | "warning";
  message: string;
  remedy: string;
}

export type Executable =
  | { path: string; unusable(error: Error): Finding }
  /** Why there is none. */
  | { finding: Finding };

/** The platform of this process, and the package that carries its native part; none where none is published. */
export function expected(): { platform: string; name: string | undefined } {
  const platform = platformName();
  return { platform, name: isPlatform(platform) ? `tokenkeep-${platform}` : undefined };
}

export function findExecutable(): Executable {
  const platform = platformName();
  if (!isPlatform(platform)) {
    return { finding: unsupported(platform) };
  }
  const name = `tokenkeep-${platform}`;
  const addon = addonPath(platform);
  if (addon === undefined) {
    return { finding: notInstalled(platform, name) };
  }
  const folder = dirname(addon);
  const version = versionIn(folder);
  if (version !== VERSION) {
    const message = `${name} has version ${version}, but tokenkeep has ${VERSION}`;
    return { finding: problem("command-unusable", message, reinstall(name)) };
  }
  // In the package under its own name; in a checkout beside the addon, under one that tells the platforms apart.
  const names = [
    process.platform === "win32" ? "tokenkeep.exe" : "tokenkeep",
    `tokenkeep.${platform}.command`,
  ];
  const path = names.map((one) => join(folder, one)).find(isFile);
  if (path === undefined) {
    const message = `${name} is installed, but the executable of the command is not in it`;
    return { finding: problem("command-missing", message, reinstall(name)) };
  }
  const unusable = (error: Error) =>
    problem(
      "command-unusable",
      `The executable in ${name} cannot be started: ${error.message}`,
      reinstall(name),
    );
  return { path, unusable };
}

/** What is wrong with the addon; `undefined` when it loads. */
export function lookAtAddon(): Finding | undefined {
  try {
    loadAddon();
    return undefined;
  } catch (error) {
    const { code, errorMessage } = error as PersistenceError;
    // Node adds the files that asked for it, a line each.
    const message = errorMessage.split("\n", 1).join();
    const { platform, name } = expected();
    if (process.env.TOKENKEEP_NATIVE_PATH) {
      return problem(hyphens(code), message, "Unset TOKENKEEP_NATIVE_PATH, or let it name the addon's file");
    }
    if (name === undefined) {
      return unsupported(platform);
    }
    return code === "addon_missing"
      ? notInstalled(platform, name)
      : problem(hyphens(code), message, reinstall(name));
  }
}

function unsupported(platform: string): Finding {
  return problem(
    "platform-unsupported",
    `There is no package with the native part of tokenkeep for ${platform}`,
    "Build the addon and the command from their sources with cargo, or run on a platform that has a package",
  );
}

function notInstalled(platform: string, name: string): Finding {
  return problem(
    "package-missing",
    `This is ${platform}, and the package ${name} is not installed`,
    "It is an optional dependency of tokenkeep, which npm leaves out with --omit=optional, and where a lock file was " +
      "written on another platform (https://github.com/npm/cli/issues/4828): delete node_modules and " +
      `package-lock.json and install again, or run "npm install ${name}@${VERSION}"`,
  );
}

function reinstall(name: string): string {
  return `Install both anew, in one version: "npm install tokenkeep@${VERSION} ${name}@${VERSION}"`;
}

function problem(code: string, message: string, remedy: string): Finding {
  return { code, severity: "problem", message, remedy };
}

/** The finding's code for an error's. */
function hyphens(code = "addon_unusable"): string {
  return code.replaceAll("_", "-");
}

function versionIn(folder: string): string {
  try {
    return String(JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version);
  } catch (error) {
    return `unknown (${(error as Error).message})`;
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
