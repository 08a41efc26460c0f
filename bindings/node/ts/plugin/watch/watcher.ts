// Reads the cache after a sign of a change, once for many signs, and reports the changed accounts.
import { type AbortOptions, throwIfAborted } from "../../abort";
import { clearTimeout, monotonic, setTimeout } from "../../clock";
import { DISPOSE, type Disposing } from "../../disposing";
import { damagedError, nameOf, textOf } from "../../error";
import { callListener } from "../../logger";
import {
  type Accounts,
  accountsOf,
  applyDifference,
  type CacheChange,
  difference,
  NO_ACCOUNTS,
} from "./accounts";
import { Changes } from "./changes";
import { Signs, type SignsOfChange } from "./signs";

/** How to watch. Times are in milliseconds. */
export interface WatchOptions extends AbortOptions {
  /**
   * How long to wait after the first sign of a change before reading, so that many writes in a row are one event. Also
   * the shortest time between two events. Default 200.
   */
  coalesce?: number;
  /**
   * How often to read without a sign, because the system can drop file events. Default 60,000, but 2,000 without file
   * events. Choose less for a network file system, which reports no changes by other machines.
   */
  checkEvery?: number;
  /**
   * How often to read the store although its file or marker looks unchanged. Only needed for a keystore item that other
   * programs write without touching the marker file, for example with keytar. Default: never.
   */
  rereadEvery?: number;
}

/**
 * Watches until it is closed. It does not keep the process alive.
 *
 * ```js
 * for await (const { added, removed } of await cachePlugin.watch()) {
 *   console.log(added, removed); // leaving the loop ends the watching
 * }
 * ```
 */
export interface CacheWatcher extends AsyncIterable<CacheChange>, Disposing {
  /** Ends the watching: the listener is not called any more, and a `for await` ends. */
  close(): void;
  /** The changes, from the first call on; from the beginning where there is no listener. */
  [Symbol.asyncIterator](): AsyncGenerator<CacheChange, void, undefined>;
}

/** The watched cache, and where to report problems. */
export interface Watched {
  readonly path: string;
  /** Signs that it is time to look, where they are not those of a file at `path`. */
  signs?(onSign: () => void): SignsOfChange;
  /** Reads the stored content, with `force` even if it looks unchanged. */
  read(force: boolean): Promise<string | null>;
  warn(message: string): void;
  /** Reports an error that a listener threw. */
  failed(error: unknown): void;
  /** The watching has ended. */
  ended(watcher: AccountWatcher): void;
}

const USUAL = 60_000;
const BLIND = 2_000;

/** How long to wait after a failed read: at first, and at most. */
const AGAIN = { first: 1_000, longest: 60_000 };

/** How long to wait for an empty file to be filled: siblings truncate before they write. */
const EMPTIED = 1_000;

export class AccountWatcher implements CacheWatcher {
  private readonly coalesce: number;
  private readonly signs: SignsOfChange;
  private blind = false;
  private armAgain = false;
  private armAt = 0;
  private closed = false;
  private looking = false;
  private timer: NodeJS.Timeout | undefined;
  private due = Number.POSITIVE_INFINITY;
  private rereadAt = Number.POSITIVE_INFINITY;
  private content: string | null | undefined;
  private reported: Accounts = NO_ACCOUNTS;
  private now: Accounts = NO_ACCOUNTS;
  private failure: { what: string; wait: number } | undefined;
  private emptied: number | undefined;
  /** Own writes under way, and how often that number changed. */
  private writes = 0;
  private epoch = 0;
  /** The accounts that an own write changed. Their stored form, merged with changes of others, is not reported either. */
  private readonly touched = new Set<string>();
  private changes: Changes | undefined;

  constructor(
    private readonly watched: Watched,
    private readonly listener: ((change: CacheChange) => void) | undefined,
    private readonly options: WatchOptions = {},
  ) {
    if (listener === undefined) {
      this.changes = new Changes();
    }
    this.coalesce = options.coalesce ?? 200;
    const onSign = (armAgain: boolean) => {
      this.armAgain ||= armAgain;
      this.lookIn(this.coalesce);
    };
    this.signs = watched.signs?.(() => onSign(false)) ?? new Signs(watched.path, onSign);
  }

  /** Reads the present accounts. From then on, differences to them are reported. */
  async start(): Promise<void> {
    const { signal } = this.options;
    throwIfAborted(signal);
    signal?.addEventListener("abort", this.onAbort, { once: true });
    // Before the first read, so that no change between the two is missed.
    this.arm();
    try {
      this.learn(await this.watched.read(false));
    } catch (error) {
      this.close();
      throw error;
    }
    throwIfAborted(signal);
    this.reported = this.now;
    this.rereadAt = monotonic() + (this.options.rereadEvery ?? Number.POSITIVE_INFINITY);
    // For signs that came during the read.
    this.lookIn(this.due === Number.POSITIVE_INFINITY ? this.idle() : this.coalesce);
  }

  /**
   * Begins an own write. Nothing is reported until the returned function is called, because a read in between cannot
   * tell own changes from those of others. Pass it `before` and `after` if the change was stored; it is then not reported.
   */
  writing(): (before?: string | null, after?: string) => void {
    this.writes += 1;
    this.epoch += 1;
    return (before, after) => {
      this.writes -= 1;
      this.epoch += 1;
      if (after !== undefined) {
        this.own(before ?? null, after);
      }
    };
  }

  private own(before: string | null, after: string): void {
    try {
      const [from, to] = [accountsOf(before), accountsOf(after)];
      this.reported = applyDifference(this.reported, from, to);
      for (const [id, { fingerprint }] of to) {
        if (from.get(id)?.fingerprint !== fingerprint) {
          this.touched.add(id);
        }
      }
    } catch {
      // No token cache, so it has no accounts.
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<CacheChange, void, undefined> {
    this.changes ??= new Changes();
    if (this.closed) {
      this.changes.end();
    }
    try {
      yield* this.changes.iterate();
    } finally {
      this.close();
    }
  }

  [DISPOSE](): void {
    this.close();
  }

  private readonly onAbort = () => this.close();

  close(): void {
    this.closed = true;
    this.options.signal?.removeEventListener("abort", this.onAbort);
    this.changes?.end();
    clearTimeout(this.timer);
    this.signs.close();
    this.watched.ended(this);
  }

  private lookIn(wait: number): void {
    const due = monotonic() + wait;
    if (this.closed || this.looking || due >= this.due) {
      // `look` starts the timer for it at its end.
      if (this.looking) {
        this.due = Math.min(this.due, due);
      }
      return;
    }
    this.due = due;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.look(), wait).unref();
  }

  private async look(): Promise<void> {
    this.looking = true;
    this.due = Number.POSITIVE_INFINITY;
    let next = this.idle();
    try {
      if (this.armAgain || monotonic() >= this.armAt) {
        this.arm();
      }
      const force = monotonic() >= this.rereadAt;
      if (force) {
        this.rereadAt = monotonic() + (this.options.rereadEvery ?? Number.POSITIVE_INFINITY);
      }
      const { epoch } = this;
      const content = await this.watched.read(force);
      if (this.writes > 0 || this.epoch !== epoch) {
        next = this.coalesce;
      } else {
        this.learn(content);
        this.failure = undefined;
        next = this.tell();
      }
    } catch (error) {
      next = this.fail(error);
    }
    this.looking = false;
    const wait = Math.max(0, Math.min(this.due - monotonic(), next));
    this.due = Number.POSITIVE_INFINITY;
    this.lookIn(wait);
  }

  /** Parses the accounts, unless the content is the one parsed last. */
  private learn(content: string | null): void {
    if (content === this.content) {
      return;
    }
    try {
      this.now = accountsOf(content);
    } catch (error) {
      throw damagedError(`The token cache at ${this.watched.path} cannot be read (${nameOf(error)})`);
    }
    this.content = content;
  }

  /** Reports the changes and returns the time to the next read. */
  private tell(): number {
    if (this.touched.size > 0) {
      const reported = new Map(this.reported);
      for (const id of this.touched) {
        const known = this.now.get(id);
        if (known !== undefined && reported.has(id)) {
          reported.set(id, known);
        }
      }
      this.reported = reported;
      this.touched.clear();
    }
    const change = this.closed ? undefined : difference(this.reported, this.now);
    if (change === undefined || this.content !== "") {
      this.emptied = undefined;
    } else {
      this.emptied ??= monotonic();
      if (monotonic() - this.emptied < EMPTIED) {
        return EMPTIED / 4;
      }
    }
    this.reported = this.now;
    if (change !== undefined) {
      this.changes?.push(change);
      if (this.listener !== undefined) {
        callListener(this.listener, change, (error) => this.watched.failed(error));
      }
    }
    return this.idle();
  }

  private fail(error: unknown): number {
    // The name only: the message of a program's own persistence may quote the content, which holds tokens.
    const code = textOf(error, "code");
    const what = `${nameOf(error)}${code === undefined ? "" : `, ${code}`}`;
    if (this.failure?.what !== what && !this.closed) {
      this.watched.warn(`The accounts in ${this.watched.path} cannot be watched at present: ${what}`);
    }
    const wait = Math.min((this.failure?.wait ?? AGAIN.first / 2) * 2, AGAIN.longest);
    this.failure = { what, wait };
    return wait;
  }

  private idle(): number {
    const usual = this.options.checkEvery ?? (this.blind ? BLIND : USUAL);
    return Math.max(0, Math.min(usual, this.rereadAt - monotonic()));
  }

  private arm(): void {
    if (this.closed || this.blind) {
      return;
    }
    this.armAgain = false;
    // The system can drop a watch without an error.
    this.armAt = monotonic() + USUAL;
    try {
      this.signs.arm();
    } catch (error) {
      this.blind = true;
      this.signs.close();
      const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
      this.watched.warn(
        `There are no file events for ${this.watched.path} (${code}), so that it is looked at now and then`,
      );
    }
  }
}
