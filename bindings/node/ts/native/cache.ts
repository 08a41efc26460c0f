// One cache as Rust keeps it, with promises: what the persistences of this package are a face of.
import { resolve } from "node:path";
import type { CheckedKey } from "../encryption-key";
import type { PersistenceInfo } from "../persistence";
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
} from "./addon";
import { call, type Listener, link, listen, opened } from "./channel";
import { type KeystoreErrors, translate } from "./errors";
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

/** Where a cache is kept. */
export type Place =
  | { readonly kind: "file"; readonly synced: boolean }
  | {
      readonly kind: "data-protection";
      /** For everybody on this machine, not for this user alone. */
      readonly machine: boolean;
      readonly entropy: string | undefined;
    }
  | {
      readonly kind: "keychain";
      readonly service: string;
      readonly account: string;
      /** How long a prompt may stand, in milliseconds; 0 for none. */
      readonly promptLimit: number;
    }
  | {
      readonly kind: "secret-service";
      readonly service: string;
      readonly account: string;
      /** How long a prompt may stand, in milliseconds; 0 for none. */
      readonly promptLimit: number;
      /** Under which name encrypted files with one of the keys may have stood in for the item. */
      readonly partition: string;
      readonly standIns: readonly CheckedKey[];
    }
  | {
      readonly kind: "encrypted-file";
      readonly partition: string;
      readonly key: CheckedKey;
      readonly synced: boolean;
    };

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

  constructor(
    path: string,
    place: Place,
    onEvent: (event: EventReply) => void,
    readonly keystore?: KeystoreErrors,
  ) {
    const { addon, channel } = link();
    this.listener = onEvent;
    const source = listen(this.listener);
    // Absolute from now on: a later chdir must not move the cache.
    const where = resolve(path);
    try {
      this.native = opened(() => openAt(addon, channel, source, where, place));
    } catch (error) {
      throw translate(error, keystore);
    }
    this.askers = askersOf(place, this.native);
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
    return (await this.ask<InfoReply>((id) => this.native.info(id))) as PersistenceInfo;
  }

  private async ask<T>(start: (id: number) => void): Promise<T> {
    try {
      return await withPassphrases(this.askers, () => call<T>(start));
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

function openAt(
  addon: Addon,
  channel: NativeChannel,
  source: number,
  path: string,
  place: Place,
): NativeCache {
  switch (place.kind) {
    case "file":
      return addon.Cache.file(channel, source, path, place.synced);
    case "data-protection":
      return addon.Cache.dataProtection(channel, source, path, place.machine, place.entropy);
    case "keychain": {
      const { service, account, promptLimit } = place;
      return addon.Cache.keychain(channel, source, path, service, account, promptLimit);
    }
    case "secret-service": {
      const { service, account, promptLimit, partition } = place;
      const standIns = place.standIns.map((key) => key.place(partition));
      return addon.Cache.secretService(
        channel,
        source,
        path,
        service,
        account,
        promptLimit,
        partition,
        standIns,
      );
    }
    case "encrypted-file": {
      const { partition, key, synced } = place;
      return addon.Cache.encryptedFile(channel, source, path, partition, key.place(partition), synced);
    }
  }
}

/** One for each key whose passphrase the program has to be asked for. Keys are numbered as Rust was given them. */
function askersOf(place: Place, native: NativeCache): Asker[] {
  return keysOf(place).flatMap((key, number) => {
    const ask = key.asking();
    const wanted = () => native.wanted(number);
    return ask ? [new Asker(ask, wanted, (passphrase) => native.supply(number, passphrase))] : [];
  });
}

function keysOf(place: Place): readonly CheckedKey[] {
  switch (place.kind) {
    case "encrypted-file":
      return [place.key];
    case "secret-service":
      return place.standIns;
    default:
      return [];
  }
}

/** The generation that need not be sent again; 0 for none. */
function knownWith(latest: Snapshot, keys: boolean): number {
  return keys && latest.keys === null ? 0 : latest.generation;
}

function ignore(): void {}
