// The file events of the operating system, as Node gives them: signs that it is time to look, no more.
//
// Directories are watched, because a file that is replaced by renaming is another one: that of the file, that of what a
// link leads to, and the nearest one above each that exists, so that a directory is noticed when it comes back. On macOS, where
// events come from everything below a directory, the second one would be the user's whole home: there the one above is watched
// only while the directory is missing.
import { type FSWatcher, realpathSync, statSync, watch } from "node:fs";
import { basename, dirname, join, resolve, sep } from "node:path";
import { clearTimeout, setTimeout } from "../../clock";

/** Directories that come and go all the while are looked at again by the next sign of it. */
const TRIES = 5;

/** macOS begins to report after `watch` has returned: a change in between shows by another look, so much later. */
const BEGUN_MS = 500;

/** Calls a function when something may have changed, from `arm` to `close`. */
export interface SignsOfChange {
  arm(): void;
  close(): void;
}

export class Signs implements SignsOfChange {
  private readonly path: string;
  private armed: FSWatcher[] = [];
  private names = new Set<string>();
  /** The directories that are watched, and which they are. */
  private seen = "";
  private begun: NodeJS.Timeout | undefined;

  /**
   * @param onSign Told of everything that may have happened to the file; whether to a directory on the way to it.
   */
  constructor(
    path: string,
    private readonly onSign: (armAgain: boolean) => void,
  ) {
    this.path = resolve(path);
  }

  /**
   * Watches the directories that are there now. What happened before it returns may go unnoticed.
   *
   * @throws the system's error, such as its limit on watches.
   */
  arm(): void {
    for (let round = 0; round < TRIES; round += 1) {
      const targets = targetsOf(this.path);
      const directories = directoriesOf(targets);
      const seen = directories.map(identified).join("\0");
      // Node has one stream of events for all watchers of a process on macOS, and starts it anew with each change of them:
      // other watchers of the program would miss events.
      if (isMac() && seen === this.seen && this.armed.length > 0) {
        return;
      }
      this.close();
      this.names = new Set(targets.flatMap((target) => target.split(sep)).map(folded));
      for (const directory of directories) {
        this.watch(directory);
      }
      this.seen = seen;
      if (directoriesOf(targetsOf(this.path)).join("\0") === directories.join("\0")) {
        break;
      }
    }
    if (isMac()) {
      this.begun = setTimeout(() => this.onSign(false), BEGUN_MS).unref();
    }
  }

  close(): void {
    clearTimeout(this.begun);
    this.seen = "";
    for (const watcher of this.armed.splice(0)) {
      watcher.close();
    }
  }

  private watch(directory: string): void {
    try {
      // Not persistent: watching keeps no process alive.
      const watcher = watch(directory, { persistent: false }, (_kind, name) => {
        // A name that is missing may be any. Those of the directories on the way mean that they come or go.
        if (name === null || this.names.has(folded(name))) {
          this.onSign(name === null || folded(name) !== folded(basename(this.path)));
        }
      });
      watcher.on("error", () => this.onSign(true));
      this.armed.push(watcher);
    } catch (error) {
      // It went while we looked; that is noticed in the one above.
      if (isDirectory(directory)) {
        throw error;
      }
    }
  }
}

function targetsOf(path: string): string[] {
  const targets = new Set([path]);
  try {
    targets.add(realpathSync(path));
  } catch {
    // Nothing there, so that its directory is all there is to watch; and that may be a link.
    try {
      targets.add(join(realpathSync(dirname(path)), basename(path)));
    } catch {
      // Nor that: the nearest one above is watched.
    }
  }
  return [...targets];
}

function directoriesOf(targets: readonly string[]): string[] {
  const found = new Set<string>();
  for (const target of targets) {
    let count = 0;
    let directory = target;
    while (count < (isMac() ? 1 : 2) && directory !== dirname(directory)) {
      directory = dirname(directory);
      if (isDirectory(directory)) {
        found.add(directory);
        count += 1;
      }
    }
  }
  return [...found].sort();
}

function isMac(): boolean {
  return process.platform === "darwin";
}

/** A name in which spellings of one name are equal, where events have the spelling on the disk. */
function folded(name: string): string {
  return isMac() || process.platform === "win32" ? name.normalize("NFC").toLowerCase() : name;
}

function identified(directory: string): string {
  const status = statSync(directory, { bigint: true, throwIfNoEntry: false });
  return `${directory}\0${status?.dev}\0${status?.ino}`;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
