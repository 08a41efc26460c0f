// One cache as Rust keeps it, with promises: what the persistences of this package are a face of.
import { resolve } from "node:path";
import type { CheckedKey } from "../encryption-key";
import type {
  Addon,
  CommitReply,
  EventReply,
  HoldReply,
  InfoReply,
  NativeCache,
  NativeChannel,
  NativeLock,
  SnapshotReply,
} from "../face";
import { infoOf } from "../spelling";
import type { PersistenceInfo } from "../types";
import { type KeystoreErrors, translate } from "./errors";
import { call, type Listener, link, listen, opened, thrown } from "./link";
import { Asker, withPassphrases } from "./passphrases";

/** What a store held at one moment. Generations only grow; equal ones mean equal content. */
export interface Snapshot {
  readonly generation: number;
  readonly content: string | null;
  /** The key of every entry; `null` where nobody asked. */
  readonly keys: readonly string[] | null;
}

/** A snapshot that stays true until the hold is committed, released, or expires ten seconds after it was given. */
export interface HeldSnapshot {
  readonly hold: number;
  readonly snapshot: Snapshot;
}

/** A client's change from `base`, which the client made of `held`, to `ours`. Where nothing is known, no base. */
export interface Change {
  readonly held: string | null;
  readonly base: string | null | undefined;
  readonly ours: string;
  readonly disturbed: boolean;
}

/** What a commit left behind. */
export interface Committed {
  readonly snapshot: Snapshot;
  /** The keys of the client's own entries; `null` where nobody asked. */
  readonly keys: readonly string[] | null;
}

const NOTHING: Snapshot = { generation: 0, content: null, keys: [] };

/** Opens a cache at an absolute path, whose events carry the number `source`. */
export type Opener = (addon: Addon, channel: NativeChannel, source: number, path: string) => NativeCache;

const NOBODY: readonly Asker[] = [];

export class Cache {
  readonly native: NativeCache;
  /** Who has to be asked for passphrases. */
  readonly askers: readonly Asker[];
  private latest = NOTHING;
  private running: Promise<Snapshot> | undefined;
  private queued: Promise<Snapshot> | undefined;
  private force = false;
  private keys = false;
  // Held here because the channel only refers to it weakly.
  private readonly listener: Listener;

  /**
   * @param keystore The errors of the store it is in, where that is none of files.
   * @param keys Those that were handed to Rust, in the same order: programs may have to be asked for some.
   */
  constructor(
    path: string,
    open: Opener,
    onEvent: (event: EventReply) => void,
    readonly keystore?: KeystoreErrors,
    keys?: readonly CheckedKey[],
  ) {
    const { addon, channel } = link();
    this.listener = onEvent;
    const source = listen(this.listener);
    // Absolute from now on: a later chdir must not move the cache.
    const where = resolve(path);
    try {
      this.native = open(addon, channel, source, where);
    } catch (error) {
      throw translate(thrown(error), keystore);
    }
    this.askers = keys === undefined || keys.length === 0 ? NOBODY : askersOf(keys, this.native);
  }

  /** Whether nothing newer than `generation` is stored. One stat, no lock, at once. */
  isCurrent(generation: number): boolean {
    return this.native.isCurrent(generation);
  }

  /** What is stored now; with `force` even when the store looks unchanged. */
  read(options: { force?: boolean; keys?: boolean } = {}): Promise<Snapshot> {
    this.force ||= options.force === true;
    this.keys ||= options.keys === true;
    if (this.running === undefined) {
      return this.startReading();
    }
    // A read under way may have looked before a write that its caller already knows of; the next one has not begun.
    this.queued ??= this.running.then(ignore, ignore).then(() => {
      this.queued = undefined;
      return this.startReading();
    });
    return this.queued;
  }

  private startReading(): Promise<Snapshot> {
    const { latest, force, keys } = this;
    this.force = false;
    const reading = this.ask<SnapshotReply>((id) =>
      this.native.read(id, knownWith(latest, keys), force, keys),
    ).then((reply) => this.publish(reply, latest));
    const done = () => {
      if (this.running === reading) {
        this.running = undefined;
      }
    };
    this.running = reading;
    reading.then(done, done);
    return reading;
  }

  /**
   * Waits for the lock, at most `limit` milliseconds, then compares and reloads. Where `strict`, damage met under the hold
   * is an error instead of being set aside.
   */
  async begin(limit: number, force: boolean, keys: boolean, strict: boolean): Promise<HeldSnapshot> {
    const { latest } = this;
    this.keys ||= keys;
    const reply = await this.ask<HoldReply>((id) =>
      this.native.begin(id, knownWith(latest, keys), force, keys, limit, strict),
    );
    return { hold: reply.hold, snapshot: this.publish(reply, latest) };
  }

  /** Merges a change into the store, under `hold` or, where that is 0, under a lock taken for it, `strict` as in `begin`. */
  async commit(
    hold: number,
    change: Change,
    keys: boolean,
    limit: number,
    strict: boolean,
  ): Promise<Committed> {
    const { held, base, ours, disturbed } = change;
    const reply = await this.ask<CommitReply>((id) =>
      this.native.commit(id, hold, held, base, ours, disturbed, keys, limit, strict),
    );
    const content = reply.content === undefined ? ours : reply.content;
    const own = reply.keys ?? null;
    // The store's keys are known only where it holds exactly what was handed in.
    const stored = reply.content === undefined ? own : null;
    const snapshot = { generation: reply.generation, content, keys: stored };
    this.remember(snapshot);
    return { snapshot, keys: own };
  }

  prepare(): Promise<void> {
    return this.ask((id) => this.native.prepare(id));
  }

  /** What is stored, read under `hold` or, where that is 0, without a lock of its own; `null` when there is nothing. */
  async load(hold: number): Promise<string | null> {
    if (hold === 0) {
      return (await this.read()).content;
    }
    return (await this.loadBytes(hold))?.toString("utf8") ?? null;
  }

  /** Like `load`, as bytes. */
  loadBytes(hold: number): Promise<Buffer | null> {
    return this.ask((id) => this.native.loadBytes(id, hold));
  }

  /** Stores `contents` as they are, under `hold` or, where that is 0, under a lock taken for it. */
  replace(contents: string | Uint8Array, hold: number, limit: number): Promise<void> {
    return this.ask((id) => this.native.replace(id, hold, contents, limit));
  }

  remove(hold: number, limit: number): Promise<boolean> {
    return this.ask((id) => this.native.remove(id, hold, limit));
  }

  /** Keeps a copy of content that is of no use, and goes on as if nothing were stored. */
  setAside(hold: number, reason: string): Promise<void> {
    return this.ask((id) => this.native.setAside(id, hold, reason));
  }

  /** Resolves when the lock is free. */
  release(hold: number): Promise<void> {
    return this.ask((id) => this.native.release(id, hold));
  }

  lock(): NativeLock {
    return opened(() => this.native.lock());
  }

  verify(limit: number): Promise<void> {
    return this.ask((id) => this.native.verify(id, limit));
  }

  async info(): Promise<PersistenceInfo> {
    return infoOf(await this.ask<InfoReply>((id) => this.native.info(id)));
  }

  private async ask<T>(start: (id: number) => void): Promise<T> {
    try {
      const { askers } = this;
      return await (askers === NOBODY ? call<T>(start) : withPassphrases(askers, () => call<T>(start)));
    } catch (error) {
      throw translate(error, this.keystore);
    }
  }

  private publish(reply: SnapshotReply, known: Snapshot): Snapshot {
    const snapshot =
      reply.content === undefined
        ? known
        : { generation: reply.generation, content: reply.content, keys: reply.keys ?? null };
    this.remember(snapshot);
    return snapshot;
  }

  private remember(snapshot: Snapshot): void {
    // Something newer may have been published while this was under way.
    if (snapshot.generation >= this.latest.generation) {
      this.latest = snapshot;
    }
  }
}

/** One for each key whose passphrase the program has to be asked for. Keys are numbered as Rust was given them. */
function askersOf(keys: readonly CheckedKey[], native: NativeCache): Asker[] {
  return keys.flatMap((key, number) => {
    const ask = key.asking();
    const wanted = () => native.wanted(number);
    return ask ? [new Asker(ask, wanted, (passphrase) => native.supply(number, passphrase))] : [];
  });
}

/** The generation that need not be sent again; 0 for none. */
function knownWith(latest: Snapshot, keys: boolean): number {
  return keys && latest.keys === null ? 0 : latest.generation;
}

function ignore(): void {}
