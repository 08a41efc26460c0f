// One cache as Rust keeps it, with promises: what the persistences of this package are a face of.
import { textOf } from "../arguments";
import { damagedError, type PersistenceError } from "../error";
import type {
  AttemptReply,
  CacheOptions,
  CommitReply,
  EventReply,
  HoldReply,
  InfoReply,
  NativeCache,
  NativeLock,
  OpenReply,
  SnapshotReply,
  StoreOptions,
} from "../face";
import { infoOf } from "../spelling";
import type { Durability, PersistenceInfo } from "../types";
import { type KeystoreErrors, NativeFailure, translate } from "./errors";
import { isHeldByCaller, ownWait } from "./held";
import type { CheckedKey } from "./key";
import { call, type Listener, link, listen, opened, thrown } from "./link";
import { Asker, withPassphrases } from "./passphrases";

/** What a store held at one moment. Generations only grow; equal ones mean equal content. */
export interface Snapshot {
  readonly generation: number;
  readonly content: string | null;
  /** Whether there is content that is not text in UTF-8. `content` is then `null`. */
  readonly unreadable?: boolean;
  /** The key of every entry; `null` if they were not asked for. */
  readonly keys: readonly string[] | null;
}

/**
 * The content of a snapshot.
 *
 * @throws `DamagedError` where it is not text in UTF-8.
 */
export function textIn({ content, unreadable }: Snapshot): string | null {
  if (unreadable) {
    throw unreadableError();
  }
  return content;
}

function unreadableError(): PersistenceError {
  return damagedError("The stored content is damaged: it is not text in UTF-8");
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
  /** The keys of the client's own entries; `null` if they were not asked for. */
  readonly keys: readonly string[] | null;
}

const NOTHING: Snapshot = { generation: 0, content: null, keys: [] };

/** A store, as the addon is told of it. */
export interface StoreDescription {
  readonly kind: StoreOptions["kind"];
  /** The key of an encrypted file. */
  readonly key?: CheckedKey;
  /** Of a file that Windows encrypts: whether every user of the machine can decrypt it. */
  readonly machine?: boolean;
  /** Of a file that Windows encrypts: a second secret. */
  readonly entropy?: string | undefined;
  /** The errors of the store, where it has its own beside those of files. */
  readonly errors?: KeystoreErrors;
}

/** A cache: its names, and the stores to try. */
export interface CacheDescription {
  /** Absolute. */
  readonly path: string;
  readonly serviceName?: string | undefined;
  readonly accountName?: string | undefined;
  /** The name that an encrypted file is bound to. Default: `serviceName/accountName`. */
  readonly partition?: string | undefined;
  /** How long a prompt of the keystore may stand, in milliseconds. Default: no prompt. */
  readonly promptLimit?: number;
  readonly durability?: Durability;
  /** The stores to try, in this order. */
  readonly stores: readonly [StoreDescription, ...StoreDescription[]];
  /** Keys of encrypted files that may have kept this cache before. */
  readonly importKeys?: readonly CheckedKey[];
  /** Whether a plaintext file may stand at the path, beside the stores to try. */
  readonly importPlaintext?: boolean;
}

/** What opening does beside choosing a store. */
export interface Opening {
  /** Creates the file and its directories. */
  create?: boolean;
  /** Proves that the store works, and imports what other stores left. */
  verify?: boolean;
}

/** A store that was tried in vain. */
export interface Attempt {
  /** Its place among the stores. */
  readonly store: number;
  /** Whether its file could be prepared, so that the error is about the store. */
  readonly prepared: boolean;
  readonly error: unknown;
}

/** What opening came to. */
export interface Opened {
  /** The place of the store that was chosen; `undefined` where none works. */
  readonly store: number | undefined;
  readonly attempts: readonly Attempt[];
}

const NO_ASKERS: readonly Asker[] = [];

export class Cache {
  readonly native: NativeCache;
  /** Who has to be asked for passphrases. */
  readonly askers: readonly Asker[];
  private readonly stores: readonly StoreDescription[];
  /** Absolute. */
  readonly path: string;
  private errors: KeystoreErrors | undefined;
  private latest = NOTHING;
  private running: Promise<Snapshot> | undefined;
  private queued: Promise<Snapshot> | undefined;
  private force = false;
  private keys = false;
  // Held here because the channel only refers to it weakly.
  private readonly listener: Listener;

  /** Opens nothing yet. Used before `open`, it is in the first store, which is not verified. */
  constructor(description: CacheDescription, onEvent: (event: EventReply) => void) {
    const { addon, channel } = link();
    this.listener = onEvent;
    const { stores, importKeys = [] } = description;
    this.stores = stores;
    this.path = description.path;
    this.errors = stores[0].errors;
    const source = listen(this.listener);
    try {
      this.native = new addon.Cache(channel, optionsOf(description, source));
    } catch (error) {
      throw translate(thrown(error), this.errors);
    }
    this.askers = askersOf(keysOf(stores, importKeys), this.native);
  }

  /** The errors of the store it is in, where that is none of files. */
  get keystore(): KeystoreErrors | undefined {
    return this.errors;
  }

  /** Opens the first store that works, waiting at most `limit` milliseconds for the lock. */
  async open({ create = false, verify = false }: Opening, limit: number): Promise<Opened> {
    const refusals = new Map<number, unknown>();
    // Opening may import what another store left, under the lock.
    const own = isHeldByCaller(this.path);
    const run = () => call<OpenReply>((id) => this.native.open(id, create, verify, own ? 1 : limit));
    const { store, attempts } = await withPassphrases(this.askers, run, (key, error) =>
      refusals.set(key, error),
    );
    if (own && attempts.some(({ failure }) => failure.kind === "busy")) {
      throw ownWait(this.path);
    }
    this.errors = this.stores[store ?? 0]?.errors;
    return { store, attempts: attempts.map((attempt) => this.attempt(attempt, refusals)) };
  }

  /** As `open`, of a cache with one store. */
  async ready(opening: Opening, limit: number): Promise<void> {
    const { attempts } = await this.open(opening, limit);
    if (attempts[0] !== undefined) {
      throw attempts[0].error;
    }
  }

  private attempt(reply: AttemptReply, refusals: ReadonlyMap<number, unknown>): Attempt {
    const { store, prepared, failure } = reply;
    const { key, errors } = this.stores[store] ?? {};
    // The program's own failure to give the passphrase says more than that it is missing.
    const own = keysOf(this.stores, []).indexOf(key as CheckedKey);
    const refusal = failure.kind === "marker_occupied" ? [...refusals.values()][0] : key && refusals.get(own);
    return { store, prepared, error: refusal ?? translate(new NativeFailure(failure), errors) };
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

  /** What is stored, read under `hold` or, where that is 0, without a lock of its own; `null` when there is nothing. */
  async load(hold: number): Promise<string | null> {
    if (hold === 0) {
      return textIn(await this.read());
    }
    const bytes = await this.loadBytes(hold);
    const text = bytes === null ? null : textOf(bytes);
    if (text === undefined) {
      throw unreadableError();
    }
    return text;
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

  async info(): Promise<PersistenceInfo> {
    return infoOf(await this.ask<InfoReply>((id) => this.native.info(id)));
  }

  private async ask<T>(start: (id: number) => void): Promise<T> {
    try {
      const { askers } = this;
      return await (askers === NO_ASKERS ? call<T>(start) : withPassphrases(askers, () => call<T>(start)));
    } catch (error) {
      throw translate(error, this.errors);
    }
  }

  private publish(reply: SnapshotReply, known: Snapshot): Snapshot {
    const snapshot =
      reply.content === undefined
        ? known
        : {
            generation: reply.generation,
            content: reply.content,
            keys: reply.keys ?? null,
            ...(reply.unreadable && { unreadable: true }),
          };
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

/** The keys of a cache, as Rust numbers them. */
function keysOf(stores: readonly StoreDescription[], importKeys: readonly CheckedKey[]): CheckedKey[] {
  return [...stores.flatMap(({ key }) => (key === undefined ? [] : [key])), ...importKeys];
}

/** One for each key whose passphrase the program has to be asked for. */
function askersOf(keys: readonly CheckedKey[], native: NativeCache): readonly Asker[] {
  if (keys.length === 0) {
    return NO_ASKERS;
  }
  return keys.flatMap((key, number) => {
    const ask = key.asking();
    const wanted = () => native.wanted(number);
    return ask ? [new Asker(number, ask, wanted, (passphrase) => native.supply(number, passphrase))] : [];
  });
}

function optionsOf(description: CacheDescription, source: number): CacheOptions {
  const { path, serviceName, accountName, partition, promptLimit = 0, durability } = description;
  const { stores, importKeys = [], importPlaintext = false } = description;
  const plaintext: readonly StoreDescription[] = importPlaintext ? [{ kind: "plaintext-file" }] : [];
  const imports = [
    ...importKeys.map((key): StoreDescription => ({ kind: "encrypted-file", key })),
    ...plaintext,
  ];
  return {
    source,
    path,
    service: serviceName,
    account: accountName,
    partition,
    promptLimit,
    synced: durability !== "cached",
    stores: stores.map(storeOptions),
    importFrom: imports.map(storeOptions),
  };
}

function storeOptions({ kind, key, machine, entropy }: StoreDescription): StoreOptions {
  return { kind, key: key?.options(), machine, entropy };
}

/** The generation that need not be sent again; 0 for none. */
function knownWith(latest: Snapshot, keys: boolean): number {
  return keys && latest.keys === null ? 0 : latest.generation;
}

function ignore(): void {}
