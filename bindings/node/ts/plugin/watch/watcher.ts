// Looks when there was a sign, once for many of them, and tells what is different.
import { type AbortOptions, throwIfAborted } from "../../abort";
import { clearTimeout, monotonic, setTimeout } from "../../clock";
import { DISPOSE, type Disposing } from "../../disposing";
import { callListener } from "../../logger";
import { Changes } from "./changes";
import { type CacheChange, difference, following, NOBODY, type People, peopleOf } from "./people";
import { Signs, type SignsOfChange } from "./signs";

/** How to watch. Times are in milliseconds. */
export interface WatchOptions extends AbortOptions {
  /**
   * How long to wait after the first sign of a change before looking, so that many writes in a row are one event. Default
   * 200, which is also the shortest time between two events.
   */
  coalesce?: number;
  /**
   * How often to look without any sign, for what the system dropped. Default 60,000, but 2,000 where there are no file
   * events. Choose less for a network file system, which has none of other machines.
   */
  checkEvery?: number;
  /**
   * How often to read the store although its file or marker looks unchanged. Only needed for a keystore item that programs
   * write which leave no trace in the marker file, such as keytar used directly. Default: never.
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

/** Where the content comes from, and where complaints go. */
export interface Watched {
  readonly path: string;
  /** Signs that it is time to look, where they are not those of a file at `path`. */
  signs?(onSign: () => void): SignsOfChange;
  /** What is stored now; with `force` even when it looks unchanged. */
  read(force: boolean): Promise<string | null>;
  warn(message: string): void;
  /** What a listener threw. */
  failed(error: unknown): void;
  /** The watching has ended. */
  ended(watcher: AccountWatcher): void;
}

const USUAL = 60_000;
const BLIND = 2_000;

/** After what could not be read: the first time, and the longest. */
const AGAIN = { first: 1_000, longest: 60_000 };

/** How long an empty file is given to be filled: siblings truncate before they write. */
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
  private told: People = NOBODY;
  private now: People = NOBODY;
  private failure: { what: string; wait: number } | undefined;
  private emptied: number | undefined;
  /** Own writes under way, and how often that number changed. */
  private writes = 0;
  private epoch = 0;
  /** Whom an own write changed: how they are stored then, merged with what others know, is no news either. */
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

  /** Learns who is there; from then on differences to that are told. */
  async start(): Promise<void> {
    const { signal } = this.options;
    throwIfAborted(signal);
    signal?.addEventListener("abort", this.onAbort, { once: true });
    // Before the first look, so that nothing falls in between.
    this.arm();
    try {
      this.learn(await this.watched.read(false));
    } catch (error) {
      this.close();
      throw error;
    }
    throwIfAborted(signal);
    this.told = this.now;
    this.rereadAt = monotonic() + (this.options.rereadEvery ?? Number.POSITIVE_INFINITY);
    // What came while the content was read.
    this.lookIn(this.due === Number.POSITIVE_INFINITY ? this.idle() : this.coalesce);
  }

  /**
   * This program begins to write. Until the function that is returned is called nothing is told, because nobody can say
   * whose what is read is. It takes what the client changed, from `before` to `after`, if that was stored: no news.
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
      const [from, to] = [peopleOf(before), peopleOf(after)];
      this.told = following(this.told, from, to);
      for (const [person, { print }] of to) {
        if (from.get(person)?.print !== print) {
          this.touched.add(person);
        }
      }
    } catch {
      // No token cache, so nobody is in it.
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
      // While looking, what comes is remembered by a due time of its own.
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

  /** Who is in what was read; parsed only where it is not what was read before. */
  private learn(content: string | null): void {
    if (content !== this.content) {
      this.now = peopleOf(content);
      this.content = content;
    }
  }

  /** Tells what is different, and gives the time to the next look. */
  private tell(): number {
    if (this.touched.size > 0) {
      const told = new Map(this.told);
      for (const person of this.touched) {
        const known = this.now.get(person);
        if (known !== undefined && told.has(person)) {
          told.set(person, known);
        }
      }
      this.told = told;
      this.touched.clear();
    }
    const change = this.closed ? undefined : difference(this.told, this.now);
    if (change === undefined || this.content !== "") {
      this.emptied = undefined;
    } else {
      this.emptied ??= monotonic();
      if (monotonic() - this.emptied < EMPTIED) {
        return EMPTIED / 4;
      }
    }
    this.told = this.now;
    if (change !== undefined) {
      this.changes?.push(change);
      if (this.listener !== undefined) {
        callListener(this.listener, change, (error) => this.watched.failed(error));
      }
    }
    return this.idle();
  }

  private fail(error: unknown): number {
    // By name only: a parser quotes what it read.
    const { name, code } = (error ?? {}) as { name?: string; code?: string };
    const what = `${name ?? typeof error}${code === undefined ? "" : `, ${code}`}`;
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
    // A watch may be lost without a word.
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
