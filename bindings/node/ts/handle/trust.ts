// Whether a file may run in this process: its content is that of the release, and no other user can change it, or a directory
// on the way to it.
//
// The code that asks runs already. Its own owner, and the directories above it, decide about this process in any case; all
// other owners have to be this user or root, as with a key file.
import { closeSync, lstatSync, openSync, readSync, realpathSync, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { builtin } from "../builtin";
import { VERSION } from "../version";

/** The file of the code that asks. */
export interface Asker {
  readonly path: string;
  readonly status: Stats;
}

/** The file at `path`; `undefined` where there is none. */
export function askerAt(path: string): Asker | undefined {
  try {
    const real = realpathSync.native(path);
    return { path: real, status: statSync(real) };
  } catch {
    return undefined;
  }
}

const [GROUP, OTHERS, STICKY] = [0o020, 0o002, 0o1000];

/**
 * Why the file at `path` must not run in this process; `undefined` where it may. It is the released one if `sha256` is its hash.
 */
export function objection(
  path: string,
  sha256: string | undefined,
  asker: Asker | undefined,
): { why: string; foreign: boolean } | undefined {
  // Windows has lists in the place of modes, which Node does not show.
  const open = process.platform === "win32" ? undefined : openTo(path, asker);
  if (open !== undefined) {
    return { why: open, foreign: true };
  }
  if (sha256 !== undefined && !isSigned(path) && hashOf(path) !== sha256) {
    const why = `its content is not that of tokenkeep ${VERSION}: install the same version of both packages anew`;
    return { why, foreign: false };
  }
  return undefined;
}

/** Who else can change the file at `path`, or put another one there. */
function openTo(path: string, asker: Asker | undefined): string | undefined {
  const ours = new Set([0, process.geteuid?.() ?? 0, ...(asker ? [asker.status.uid] : [])]);
  const groups = new Set([process.getegid?.() ?? 0, ...(asker ? [asker.status.gid] : [])]);
  const shared = asker?.status.mode ?? 0;
  const above = new Set(asker ? ancestors(asker.path) : []);
  const parts = new Set([path, ...ancestors(path), realpathSync.native(path)]);
  for (const part of ancestors(realpathSync.native(path))) {
    parts.add(part);
  }
  for (const part of parts) {
    if (above.has(part)) {
      continue;
    }
    const status = look(part);
    if (status === undefined) {
      continue;
    }
    const what = part === path ? "it" : `the directory ${part}`;
    if (!ours.has(status.uid)) {
      return `${what} belongs to user ${status.uid}, who could replace it`;
    }
    if (status.isSymbolicLink() || (status.isDirectory() && status.mode & STICKY)) {
      continue;
    }
    const byGroup = status.mode & GROUP && !groups.has(status.gid);
    if ((status.mode & OTHERS || byGroup) && !(status.mode & shared & OTHERS)) {
      const mode = (status.mode & 0o777).toString(8);
      return `other users can change ${what} (mode ${mode}): run chmod go-w on it`;
    }
  }
  return undefined;
}

/** Nothing where Node's permission model lets this program read the file, and not look at what is above. */
function look(part: string): Stats | undefined {
  try {
    return lstatSync(part);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_ACCESS_DENIED") {
      return undefined;
    }
    throw error;
  }
}

/** The directories above `path`, from the nearest on. */
export function ancestors(path: string): string[] {
  const found: string[] = [];
  for (let one = dirname(path); one !== found.at(-1); one = dirname(one)) {
    found.push(one);
  }
  return found;
}

function hashOf(path: string): string {
  const hash = builtin("node:crypto").createHash("sha256");
  // Piece by piece: fresh memory for all of it takes longer than its hash.
  const piece = Buffer.allocUnsafe(1 << 16);
  const file = openSync(path, "r");
  try {
    for (let length = readSync(file, piece); length > 0; length = readSync(file, piece)) {
      hash.update(piece.subarray(0, length));
    }
  } finally {
    closeSync(file);
  }
  return hash.digest("hex");
}

/** A packaged Electron program has its binaries signed anew, and the program with them. */
function isSigned(path: string): boolean {
  const { resourcesPath } = process as { resourcesPath?: string };
  const { electron } = process.versions as { electron?: string };
  return electron !== undefined && resourcesPath !== undefined && ancestors(path).includes(resourcesPath);
}
