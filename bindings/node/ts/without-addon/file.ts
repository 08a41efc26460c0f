// One file, read whole and replaced whole: a temporary file beside it is written, synced and renamed over it.
import {
  constants,
  fchmodSync,
  fchownSync,
  promises as files,
  lstatSync,
  realpathSync,
  renameSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { builtin } from "../builtin";
import { codeOf, Failed, failed, io } from "./failure";

/** What a file looks like from outside; equal prints mean equal content, unless it was written in the same tick. */
export interface Stamp {
  readonly print: string;
  readonly modifiedMs: number;
  /** Whether it was written long enough ago to trust that whoever writes next leaves another print. */
  readonly trusted: boolean;
}

/** What is stored at one moment; `null` for no file. */
export interface Loaded {
  readonly content: Buffer | null;
  readonly stamp: Stamp;
  /** How long it had been as it is when it was read; infinite for a file that nobody has written since it was made. */
  readonly ageMs: number;
}

/** Kernels stamp files once per tick of up to 10 ms; a few more for the clock. */
const GRAIN_MS = 20;

/** What is older than this is not half of a write: siblings empty the file and fill it again, in place (ADR 14). */
export const SETTLED_MS = 200;

/** Between two looks at what may be half of a write. */
const PAUSE_MS = 20;

/** Rounds of reading before a file counts as one that somebody keeps writing. */
const ROUNDS = 20;

export const ABSENT: Stamp = { print: "absent", modifiedMs: 0, trusted: true };

/** The look of the file now, at once. */
export function stampNow(path: string): Stamp {
  const before = Date.now();
  const status = statSync(path, { bigint: true, throwIfNoEntry: false });
  return status === undefined ? ABSENT : stampOf(status, before);
}

interface Status {
  dev: bigint;
  ino: bigint;
  size: bigint;
  mtimeNs: bigint;
  ctimeNs: bigint;
  mtimeMs: bigint;
  ctimeMs: bigint;
  birthtimeNs: bigint;
}

function printOf({ dev, ino, size, mtimeNs, ctimeNs }: Status): string {
  return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}

function stampOf(status: Status, before: number): Stamp {
  const latest = Math.max(Number(status.mtimeMs), Number(status.ctimeMs));
  return { print: printOf(status), modifiedMs: Number(status.mtimeMs), trusted: latest < before - GRAIN_MS };
}

function ageOf({ mtimeNs, birthtimeNs, mtimeMs, ctimeMs }: Status, before: number): number {
  const latest = Math.max(Number(mtimeMs), Number(ctimeMs));
  return mtimeNs === birthtimeNs ? Number.POSITIVE_INFINITY : before - latest;
}

/**
 * Reads what may be half of a write until it is something else, or old enough to be all there is. Takes a fifth of a second
 * at most, also where clocks disagree.
 */
export async function settled(path: string, mayBeHalf: (content: Buffer) => boolean): Promise<Loaded> {
  for (let waited = 0; ; waited += PAUSE_MS) {
    const loaded = await load(path);
    const { content, ageMs } = loaded;
    if (content === null || ageMs >= SETTLED_MS || waited >= SETTLED_MS || !mayBeHalf(content)) {
      return loaded;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/**
 * Reads the file whole: what looks the same before and after was not written in between.
 *
 * @throws Failed `busy` when somebody keeps writing it without the lock.
 */
export async function load(path: string): Promise<Loaded> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = Date.now();
    let file: files.FileHandle;
    try {
      file = await files.open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    } catch (error) {
      if (codeOf(error) === "ENOENT") {
        return { content: null, stamp: ABSENT, ageMs: Number.POSITIVE_INFINITY };
      }
      throw io("Cannot open the cache", path, error);
    }
    try {
      const status = await file.stat({ bigint: true });
      if (!status.isFile()) {
        throw failed("unsafe_file", `Refused: ${path} is not a regular file`, path);
      }
      const content = await file.readFile();
      if (printOf(await file.stat({ bigint: true })) === printOf(status)) {
        return { content, stamp: stampOf(status, before), ageMs: ageOf(status, before) };
      }
    } catch (error) {
      throw io("Cannot read the cache", path, error);
    } finally {
      await file.close();
    }
    await new Promise((resolve) => setTimeout(resolve, round));
  }
  throw failed(
    "busy",
    `The cache file ${path} kept changing while it was read. Another program writes it without the lock`,
    path,
  );
}

/** What a write needs to know. */
export interface Writing {
  /** Whether it returns only once the content is on the disk. */
  readonly synced: boolean;
  /** The modification time of what is replaced: the new one has to be later by a millisecond that siblings can see. */
  readonly after: number;
  /** Asked in the last moment; `false` when the lock has been lost. */
  isAllowed(): boolean;
}

/** Replaces the content; gives the new file's stamp. */
export async function replace(path: string, content: string | Uint8Array, writing: Writing): Promise<Stamp> {
  const target = resolveLink(path);
  const temporary = join(dirname(target), temporaryName(target));
  let file: files.FileHandle | undefined;
  try {
    file = await files.open(temporary, "wx", 0o600);
    await file.writeFile(content);
    keepOwner(file, target);
    const modifiedMs = Math.max(Date.now(), writing.after) + 1;
    await file.utimes(modifiedMs / 1_000, modifiedMs / 1_000);
    if (writing.synced) {
      await file.sync();
    }
    if (!writing.isAllowed()) {
      throw failed("expired", "The lock was lost before the cache could be saved", path);
    }
    // At once, so that nothing of this process comes between the look at the lock and the replacement.
    renameSync(temporary, target);
    const stamp = printOf(await file.stat({ bigint: true }));
    if (writing.synced) {
      await syncDirectory(dirname(target));
    }
    return { print: stamp, modifiedMs, trusted: true };
  } catch (error) {
    await files.rm(temporary, { force: true });
    throw io("Cannot save the cache", path, error);
  } finally {
    await file?.close();
  }
}

/** Removes temporary files that a killed writer left; needs the lock, because a living writer's looks the same. */
export async function sweep(path: string): Promise<void> {
  const target = resolveLink(path);
  const folder = dirname(target);
  for (const name of await files.readdir(folder)) {
    if (name.startsWith(prefixOf(target)) && name.endsWith(".tmp")) {
      await files.rm(join(folder, name), { force: true });
    }
  }
}

/** Creates the folder (0700) and an empty file (0600) where they are missing, and takes other people's permissions away. */
export async function prepare(path: string): Promise<void> {
  try {
    await makeFolder(dirname(path));
    const target = resolveLink(path);
    const file = await files.open(
      target,
      constants.O_RDONLY | constants.O_CREAT | (constants.O_NONBLOCK ?? 0),
      0o600,
    );
    try {
      const status = await file.stat();
      if (!status.isFile()) {
        throw failed("unsafe_file", `Refused: ${target} is not a regular file`, path);
      }
      if ((status.mode & 0o077) !== 0 && process.platform !== "win32") {
        fchmodSync(file.fd, 0o600);
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    throw io("Cannot prepare the cache", path, error);
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await files.mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== "EEXIST") {
      throw error;
    }
    // Node's word for a file in the place of the folder; the system's own is another.
    const osCode = builtin("node:os").constants.errno.ENOTDIR;
    throw new Failed({ kind: "io", message: `Cannot create the folder ${path}: it is a file`, osCode, path });
  }
}

/** Removes the file; `false` when there was none. */
export async function remove(path: string): Promise<boolean> {
  try {
    await files.rm(resolveLink(path));
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") {
      return false;
    }
    throw io("Cannot remove the cache", path, error);
  }
}

/** Writes, reads back and removes a probe under a random name. */
export async function verify(path: string): Promise<void> {
  const random = builtin("node:crypto").randomBytes(8).toString("hex");
  const probe = join(dirname(path), `.tokenkeep-probe-${random}`);
  try {
    await makeFolder(dirname(path));
    await replace(probe, random, { synced: false, after: 0, isAllowed: () => true });
    if ((await files.readFile(probe, "utf8")) !== random) {
      throw failed("not_verified", `What was read from ${probe} is not what was written`, probe);
    }
  } catch (error) {
    throw io("Cannot write and read beside the cache", probe, error);
  } finally {
    await files.rm(probe, { force: true });
  }
}

/** Keeps content that is of no use beside the cache, and gives the copy's path. Equal content is kept once. */
export async function keepCopy(path: string, content: Uint8Array): Promise<string> {
  const copy = `${path}.corrupt-${hash(content)}`;
  await replace(copy, content, { synced: true, after: 0, isAllowed: () => true });
  return copy;
}

/** FNV-1a of 64 bits, by which the core names such files, too. */
function hash(bytes: Uint8Array): string {
  let value = 0xcbf29ce484222325n;
  for (const byte of bytes) {
    value = BigInt.asUintN(64, (value ^ BigInt(byte)) * 0x100000001b3n);
  }
  return value.toString(16).padStart(16, "0");
}

function prefixOf(target: string): string {
  return `.tk-${hash(Buffer.from(basename(target)))}-`;
}

function temporaryName(target: string): string {
  return `${prefixOf(target)}${builtin("node:crypto").randomBytes(8).toString("hex")}.tmp`;
}

/**
 * Where a link at the path leads. Followed only if link, target and folder belong to the user or root and nobody else can
 * write the folder: somebody else's link could make us replace any file.
 */
function resolveLink(path: string): string {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) {
    return path;
  }
  const target = realpathSync(path);
  const own = process.getuid?.();
  for (const place of [path, dirname(path), target, dirname(target)]) {
    const { uid, mode } = lstatSync(place);
    const shared = place !== path && (mode & 0o022) !== 0;
    if (own !== undefined && ((uid !== own && uid !== 0) || shared)) {
      throw failed(
        "unsafe_file",
        `Refused: ${path} is a link, and somebody else could change ${place}`,
        path,
      );
    }
  }
  return target;
}

/** A file that root rewrites stays its owner's. */
function keepOwner(file: files.FileHandle, target: string): void {
  const old = process.getuid?.() === 0 ? statSync(target, { throwIfNoEntry: false }) : undefined;
  if (old !== undefined && (old.uid !== 0 || old.gid !== 0)) {
    fchownSync(file.fd, old.uid, old.gid);
  }
}

async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") {
    // A directory cannot be opened there; NTFS keeps a journal of names.
    return;
  }
  const folder = await files.open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
