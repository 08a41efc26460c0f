// Waiting for the lock: in this thread first come, first served; between processes by looking again and again.
import { failed, io } from "./failure";
import { type Held, holderOf, tryLock, type Watch } from "./lock-file";

/** How long to sleep between two looks, in milliseconds: short at first, then longer, with chance so that none is last for ever. */
const SHORTEST = 1;
const LONGEST = 12;

/** The ends of the lines, by lock file. */
const lines = new Map<string, Promise<void>>();
/** What was seen of a lock file. Kept over several waits: a short one never sees a dead owner's file settle. */
const watches = new Map<string, Watch>();

/**
 * Waits for the lock beside `cache`, at most `limit` milliseconds; one attempt is always made.
 *
 * @throws Failed `busy` after the limit.
 */
export async function lock(cache: string, limit: number): Promise<Held> {
  const path = `${cache}.lockfile`;
  const start = performance.now();
  const late = () => performance.now() - start >= limit;
  const before = lines.get(path) ?? Promise.resolve();
  let leave = () => {};
  const turn = new Promise<void>((resolve) => {
    leave = resolve;
  });
  const line = before.then(() => turn);
  lines.set(path, line);
  void line.then(() => {
    if (lines.get(path) === line) {
      lines.delete(path);
    }
  });
  try {
    if (!(await within(limit, before))) {
      throw busy(cache, path, start);
    }
    const held = await wait(cache, path, start, late);
    return {
      isOurs: held.isOurs,
      release() {
        try {
          held.release();
        } finally {
          leave();
        }
      },
    };
  } catch (error) {
    leave();
    throw error;
  }
}

async function wait(cache: string, path: string, start: number, late: () => boolean): Promise<Held> {
  const watch = watches.get(path) ?? { seen: "", since: 0 };
  watches.set(path, watch);
  let pause = SHORTEST;
  for (;;) {
    let held: Held | undefined;
    try {
      held = tryLock(path, watch);
    } catch (error) {
      throw io("Cannot use the lock file", path, error);
    }
    if (held !== undefined) {
      return held;
    }
    if (late()) {
      throw busy(cache, path, start);
    }
    await sleep(pause * (0.5 + Math.random()));
    pause = Math.min(pause * 1.5, LONGEST);
  }
}

function busy(cache: string, path: string, start: number): Error {
  const waited = Math.round(performance.now() - start);
  return failed(
    "busy",
    `Waited ${waited} ms for the lock of the cache ${cache}, which is held by ${holderOf(path)}. ` +
      "If that process uses the cache, let it finish or raise the time limit",
    cache,
  );
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

/** Whether `event` comes within the time. */
function within(milliseconds: number, event: Promise<void>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds, false);
    void event.then(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
