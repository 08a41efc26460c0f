// The lock that every sibling library knows: `<cache>.lockfile` exists, and begins with its owner's process number. Without
// a binary there is no lock of the system to be had, so that a dead owner has to be recognised by what it wrote.
//
// Everything here is synchronous and short: between looking and acting no other code of this process runs.
import {
  closeSync,
  fstatSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { builtin } from "../builtin";
import { codeOf, io } from "./failure";
import { bootId, isAlive, startedAfter, startTicks } from "./process";

/** Says that this implementation wrote it, so that its heart beats. */
const MARK = "tokenkeep.js";
/** What the core writes in the same place. */
const NATIVE_MARK = "tokenkeep-lock";

/** How often an owner touches its lock file, and how long one that stopped is believed. In milliseconds, all of these. */
const BEAT = 1_000;
const STOPPED = 20_000;
/** A dead owner's file has to stand unchanged for so long: somebody may be taking it over at this moment. */
const SETTLED = 2_000;
/** An owner creates its file and then writes into it; one that was killed in between leaves nothing to read. */
const NAMELESS = 10_000;
/** What another boot of this machine left, or another machine: no library holds a lock for longer than a load and a save. */
const ELSEWHERE = 20_000;
/** A live process that seems to hold it for longer has lost track of its file. */
const FORGOTTEN = 600_000;

/** A lock that is held. */
export interface Held {
  /** Whether the lock file is still the one that was created. */
  isOurs(): boolean;
  release(): void;
}

/** What one look saw, and since when it has been the same. */
export interface Watch {
  seen: string;
  since: number;
}

/** Takes the lock if it is free; `undefined` when somebody has it. */
export function tryLock(path: string, watch: Watch): Held | undefined {
  const token = builtin("node:crypto").randomBytes(8).toString("hex");
  if (create(path, `${process.pid} ${MARK} ${token}`)) {
    return held(path, token);
  }
  const found = look(path);
  if (found !== undefined && isAbandoned(found, watch)) {
    steal(path, found);
  }
  return undefined;
}

/** Who has the lock, for people. */
export function holderOf(path: string): string {
  const found = look(path);
  const pid = found && pidOf(found.text);
  return pid === process.pid
    ? `this process itself (${pid})`
    : pid === undefined
      ? "nobody who can be named"
      : `process ${pid}`;
}

function create(path: string, text: string): boolean {
  let file: number;
  try {
    file = openSync(path, "wx", 0o600);
  } catch (error) {
    const code = codeOf(error);
    // Windows says EPERM of a file whose last owner is just removing it.
    if (code === "EEXIST" || (process.platform === "win32" && (code === "EPERM" || code === "EBUSY"))) {
      return false;
    }
    throw io("Cannot create the lock file", path, error);
  }
  try {
    writeSync(file, text);
    return true;
  } catch (error) {
    unlinkSync(path);
    throw io("Cannot write the lock file", path, error);
  } finally {
    closeSync(file);
  }
}

function held(path: string, token: string): Held {
  const isOurs = () => look(path)?.text.endsWith(token) === true;
  const beat = setInterval(() => {
    if (isOurs()) {
      try {
        utimesSync(path, new Date(), new Date());
      } catch {
        // Its owner is told when it looks before saving.
      }
    }
  }, BEAT);
  beat.unref();
  return {
    isOurs,
    release() {
      clearInterval(beat);
      if (isOurs()) {
        remove(path);
      }
    },
  };
}

interface Found {
  readonly text: string;
  readonly inode: bigint;
  /** What changes when anybody writes or touches it. */
  readonly print: string;
  readonly modifiedMs: number;
}

function look(path: string): Found | undefined {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    if (["ENOENT", "EPERM", "EBUSY", "EACCES"].includes(codeOf(error) ?? "")) {
      return undefined;
    }
    throw io("Cannot read the lock file", path, error);
  }
  try {
    const { ino, mtimeNs, ctimeNs, size, mtimeMs } = fstatSync(file, { bigint: true });
    const text = (readFileSync(file, "utf8").split("\n")[0] ?? "").replace(/^\ufeff/, "").trimEnd();
    return {
      text,
      inode: ino,
      print: `${ino} ${size} ${mtimeNs} ${ctimeNs} ${text}`,
      modifiedMs: Number(mtimeMs),
    };
  } finally {
    closeSync(file);
  }
}

/** .NET puts a mark in front of the number, Go braces around it. */
function pidOf(text: string): number | undefined {
  const pid = Number(/^\{?(\d+)\}?(?:\s|$)/.exec(text)?.[1]);
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
}

/** Whether nobody will ever release this lock. */
function isAbandoned(found: Found, watch: Watch): boolean {
  const now = performance.now();
  if (watch.seen !== found.print) {
    watch.seen = found.print;
    watch.since = now;
  }
  return now - watch.since >= patienceWith(found);
}

/** How long a lock file has to stand unchanged before its owner is given up. */
function patienceWith({ text, modifiedMs }: Found): number {
  const pid = pidOf(text);
  if (pid === undefined) {
    return NAMELESS;
  }
  const [, mark, , start, boot] = text.split(/\s+/);
  const here = bootId();
  if (mark === NATIVE_MARK && here !== undefined && boot !== here) {
    return ELSEWHERE;
  }
  if (!isAlive(pid) || startedAfter(pid, modifiedMs)) {
    return SETTLED;
  }
  if (mark === NATIVE_MARK && here !== undefined && startTicks(pid) !== start) {
    return SETTLED;
  }
  // A worker thread that was terminated leaves its lock to a process that lives on.
  return mark === MARK ? STOPPED : FORGOTTEN;
}

/**
 * Removes an abandoned lock file, unless somebody has taken it over meanwhile. It is moved aside and read again: the core,
 * which takes a file over where it stands, looks after writing whether it still stands there, so that one of the two sees
 * the other. One that was taken over is put back. Only one process does this at a time.
 */
function steal(path: string, judged: Found): void {
  const permit = `${path}.steal`;
  if (!create(permit, `${process.pid} ${MARK}`)) {
    // Taking a lock file away takes microseconds; a permit as old as this belongs to a process that was killed.
    const age = Date.now() - (statSync(permit, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > NAMELESS) {
      remove(permit);
    }
    return;
  }
  const aside = `${path}.${process.pid}.stolen`;
  try {
    if (look(path)?.print !== judged.print) {
      return;
    }
    renameSync(path, aside);
    const taken = look(aside);
    if (taken?.inode !== judged.inode || taken.text !== judged.text) {
      putBack(aside, path);
    }
    remove(aside);
  } catch (error) {
    // Somebody else was faster, or the system does not let us: it is looked at again.
    if (!["ENOENT", "EPERM", "EBUSY", "EACCES"].includes(codeOf(error) ?? "")) {
      throw io("Cannot remove the abandoned lock file", path, error);
    }
  } finally {
    remove(permit);
  }
}

function putBack(aside: string, path: string): void {
  try {
    linkSync(aside, path);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") {
      renameSync(aside, path);
    }
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") {
      throw io("Cannot remove", path, error);
    }
  }
}
