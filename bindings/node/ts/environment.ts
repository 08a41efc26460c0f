// Finds the folders for a user's files, from the environment alone. Programs and tests replace single members of this class,
// so every member asks the others at call time.
import { join } from "node:path";
import { PersistenceError } from "./error";

/**
 * Facts about the user and the platform this process runs on.
 *
 * ```js
 * const folder = Environment.getUserRootDirectory(); // null where the environment does not tell
 * ```
 */
// biome-ignore lint/complexity/noStaticOnlyClass: the public name and shape programs already use
export class Environment {
  /** `HOME`, or the empty string. */
  static get homeEnvVar(): string {
    return Environment.getEnvironmentVariable("HOME");
  }

  /** `LOGNAME`, or the empty string. */
  static get lognameEnvVar(): string {
    return Environment.getEnvironmentVariable("LOGNAME");
  }

  /** `USER`, or the empty string. */
  static get userEnvVar(): string {
    return Environment.getEnvironmentVariable("USER");
  }

  /** `LNAME`, or the empty string. */
  static get lnameEnvVar(): string {
    return Environment.getEnvironmentVariable("LNAME");
  }

  /** `USERNAME`, or the empty string. */
  static get usernameEnvVar(): string {
    return Environment.getEnvironmentVariable("USERNAME");
  }

  /** An environment variable; the empty string when it is not set. */
  static getEnvironmentVariable(name: string): string {
    return process.env[name] || "";
  }

  /** Node's name of the platform, such as `linux`. */
  static getEnvironmentPlatform(): string {
    return process.platform;
  }

  /** Whether this is Windows. */
  static isWindowsPlatform(): boolean {
    return Environment.getEnvironmentPlatform() === "win32";
  }

  /** Whether this is Linux. */
  static isLinuxPlatform(): boolean {
    return Environment.getEnvironmentPlatform() === "linux";
  }

  /** Whether this is macOS. */
  static isMacPlatform(): boolean {
    return Environment.getEnvironmentPlatform() === "darwin";
  }

  /** Whether this process runs as root; false where there is no such thing. */
  static isLinuxRootUser(): boolean {
    return process.getuid?.() === 0;
  }

  /** The directory for this user's data: local application data on Windows, the home directory elsewhere. */
  static getUserRootDirectory(): string | null {
    return Environment.isWindowsPlatform()
      ? Environment.getUserHomeDirOnWindows()
      : Environment.getUserHomeDirOnUnix();
  }

  /** `LOCALAPPDATA`, or the empty string. */
  static getUserHomeDirOnWindows(): string {
    return Environment.getEnvironmentVariable("LOCALAPPDATA");
  }

  /**
   * The home directory: `HOME`, else the place a user of that name usually has; `null` when nothing tells.
   *
   * @throws PersistenceError `NotSupportedError` on Windows and on platforms this package does not know.
   */
  static getUserHomeDirOnUnix(): string | null {
    if (Environment.isWindowsPlatform()) {
      throw notUnix();
    }
    if (Environment.homeEnvVar) {
      return Environment.homeEnvVar;
    }
    const user =
      Environment.lognameEnvVar ||
      Environment.userEnvVar ||
      Environment.lnameEnvVar ||
      Environment.usernameEnvVar;
    if (Environment.isMacPlatform()) {
      return user ? join("/Users", user) : null;
    }
    if (!Environment.isLinuxPlatform()) {
      throw notUnix();
    }
    if (Environment.isLinuxRootUser()) {
      return "/root";
    }
    return user ? join("/home", user) : null;
  }
}

function notUnix(): PersistenceError {
  return PersistenceError.createNotSupportedError(
    // The sentence programs know, said of every platform that is neither Linux nor macOS.
    "Getting the user home directory for unix is not supported in windows",
  );
}
