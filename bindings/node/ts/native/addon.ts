// Loads the native addon, at first use and not at import: without a binary the package still imports, tells where user
// directories are and reports errors. This file also states the addon's face, as Rust exports it.
import { existsSync } from "node:fs";
import { PersistenceError } from "../persistence-error";
import { VERSION } from "../version";

/** A failure as Rust reports it; `errors.ts` turns it into a `PersistenceError`. */
export interface Failure {
  /** The core's kind, such as `busy`, or `expired`, `panic`, `closed` from the addon itself. */
  kind: string;
  message: string;
  /** The error number, where a system call failed. */
  osCode?: number;
  /** The file it is about. */
  path?: string;
}

/** What is stored, as of one generation. */
export interface SnapshotReply {
  generation: number;
  /** Absent when the caller already knows this generation; `null` when nothing is stored. */
  content?: string | null;
  /** The key of every entry, where asked for. */
  keys?: string[];
}

/** A snapshot under the lock. */
export interface HoldReply extends SnapshotReply {
  hold: number;
}

/** What a commit left in the store. `content` is absent when it is exactly what was handed in. */
export interface CommitReply {
  generation: number;
  content?: string | null;
  /** The key of every entry that was handed in, where asked for. */
  keys?: string[];
}

/** What merging two changes gave. */
export interface MergeReply {
  content: string;
  keys?: string[];
  /** Present when a change was dropped because its account is gone. */
  conflict?: Failure;
}

export interface InfoReply {
  backend: string;
  protection: string;
  survivesReboot: boolean;
  location: string;
  crashSafe: boolean;
}

/** Something worth telling that is no failure. */
export interface EventReply {
  /** The number given when the cache was opened. */
  source: number;
  kind: "set_aside" | "warning" | "notice";
  message: string;
  path?: string;
  copy?: string;
}

/** Carries every answer of this thread. */
export type NativeChannel = {
  /** Gives up everything that waits, releases every lock, and waits at most so long for writes under way. */
  close(milliseconds: number): void;
};

/** One cache. Methods that take a call number answer over the channel under that number. */
export interface NativeCache {
  isCurrent(generation: number): boolean;
  prepare(call: number): void;
  read(call: number, known: number, force: boolean, keys: boolean): void;
  /** Answers with the bytes, or `null`; reads under the lock `hold` where that is not 0. */
  loadBytes(call: number, hold: number): void;
  begin(call: number, known: number, force: boolean, keys: boolean, limit: number): void;
  /**
   * Merges `base` to `ours` into the store; `base` was made from `held`. Under a hold, `null` means what is held, for
   * either. No base at all is `undefined`.
   */
  commit(
    call: number,
    hold: number,
    held: string | null,
    base: string | null | undefined,
    ours: string,
    disturbed: boolean,
    keys: boolean,
    limit: number,
  ): void;
  /** Stores `contents` as they are; under the lock `hold` where that is not 0. */
  replace(call: number, hold: number, contents: string | Uint8Array, limit: number): void;
  remove(call: number, hold: number, limit: number): void;
  setAside(call: number, hold: number, reason: string): void;
  release(hold: number): void;
  /** The lock that a write of this cache takes. */
  lock(): NativeLock;
  verify(call: number): void;
  info(call: number): void;
}

/** The lock beside a path, for persistences that Rust knows nothing of. */
export interface NativeLock {
  acquire(call: number, limit: number): void;
  /** Ends the hold's expiry, before a commit; `false` when it has expired already. */
  pin(hold: number): boolean;
  release(hold: number): void;
}

export interface Addon {
  version(): string;
  Channel: new (dispatch: (call: number, failure: Failure | null, value: unknown) => void) => NativeChannel;
  Cache: {
    file(channel: NativeChannel, source: number, path: string, synced: boolean): NativeCache;
    secretService(
      channel: NativeChannel,
      source: number,
      path: string,
      service: string,
      account: string,
      allowPrompt: boolean,
    ): NativeCache;
  };
  Lock: new (channel: NativeChannel, path: string) => NativeLock;
  merge(
    channel: NativeChannel,
    call: number,
    held: string | null,
    base: string | undefined,
    ours: string,
    theirs: string | null,
    disturbed: boolean,
    keys: boolean,
  ): void;
  keys(channel: NativeChannel, call: number, text: string): void;
}

// One line per platform that is built. Literal names, so that bundlers see them.
const PACKAGES: Record<string, () => unknown> = {
  "linux-x64-gnu": () => require("tokenkeep-linux-x64-gnu"),
};

let loaded: Addon | undefined;

/**
 * The addon.
 *
 * @throws PersistenceError `NotSupportedError` when there is no binary for this platform, or it cannot be loaded.
 */
export function addon(): Addon {
  loaded ??= load();
  return loaded;
}

function load(): Addon {
  const override = process.env.TOKENKEEP_NATIVE_PATH;
  if (override) {
    try {
      return require(override) as Addon;
    } catch (cause) {
      throw unusable(`the file that TOKENKEEP_NATIVE_PATH names, ${override}, cannot be loaded`, cause);
    }
  }
  const platform = platformName();
  const fromPackage = PACKAGES[platform];
  if (fromPackage === undefined) {
    throw unusable(`there is no build for ${platform}`);
  }
  let missing: unknown;
  try {
    return sameVersion(fromPackage() as Addon, `the package tokenkeep-${platform}`);
  } catch (cause) {
    if (!isMissing(cause)) {
      throw cause instanceof PersistenceError
        ? cause
        : unusable(`the package tokenkeep-${platform} is installed but cannot be loaded`, cause);
    }
    missing = cause;
  }
  try {
    // A checkout, where the build puts the addon beside package.json.
    return require("../../tokenkeep.linux-x64-gnu.node") as Addon;
  } catch (cause) {
    throw isMissing(cause)
      ? unusable(
          `the package tokenkeep-${platform} is not installed. It is an optional dependency, which npm leaves out ` +
            `when a lock file was written on another platform (npm/cli#4828) or with --omit=optional: ` +
            `delete node_modules and package-lock.json and install again, or run "npm install tokenkeep-${platform}@${VERSION}"`,
          missing,
        )
      : unusable("the addon of this checkout cannot be loaded", cause);
  }
}

function platformName(): string {
  const { platform, arch } = process;
  if (platform !== "linux") {
    return `${platform}-${arch}`;
  }
  // A process that runs on musl has musl's loader; asking process.report would take longer than everything else here.
  const loader = { x64: "x86_64", arm64: "aarch64" }[arch as string] ?? arch;
  return `linux-${arch}-${existsSync(`/lib/ld-musl-${loader}.so.1`) && !onGlibc() ? "musl" : "gnu"}`;
}

function onGlibc(): boolean {
  const header = (process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined)
    ?.header;
  return header?.glibcVersionRuntime !== undefined;
}

function sameVersion(found: Addon, where: string): Addon {
  if (found.version() !== VERSION) {
    throw unusable(
      `${where} has version ${found.version()}, but tokenkeep has ${VERSION}. Install the same version of both`,
    );
  }
  return found;
}

function isMissing(cause: unknown): boolean {
  return (cause as NodeJS.ErrnoException | undefined)?.code === "MODULE_NOT_FOUND";
}

function unusable(why: string, cause?: unknown): PersistenceError {
  const detail = cause instanceof Error && !isMissing(cause) ? `: ${cause.message}` : "";
  return PersistenceError.createNotSupportedError(
    `tokenkeep cannot use its native addon: ${why}${detail}`,
    cause === undefined ? { code: "addon_missing" } : { code: "addon_missing", cause },
  );
}
