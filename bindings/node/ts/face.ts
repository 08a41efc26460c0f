// The addon's face, as Rust exports it: types alone.

/** A failure as Rust reports it; `errors.ts` turns it into a `PersistenceError`. */
export interface Failure {
  /** The core's kind, such as `busy`, or `expired`, `panic`, `closed` from the addon itself. */
  kind: string;
  message: string;
  /** The error number, where a system call failed. */
  osCode?: number;
  /** The file it is about. */
  path?: string;
}

/** What is stored, as of one generation. */
export interface SnapshotReply {
  generation: number;
  /** Absent when the caller already knows this generation; `null` when nothing is stored. */
  content?: string | null;
  /** Whether there is content that is not text in UTF-8. `content` is then `null`. */
  unreadable?: boolean;
  /** The key of every entry, where asked for. */
  keys?: string[];
}

/** A snapshot under the lock. */
export interface HoldReply extends SnapshotReply {
  hold: number;
}

/** What a commit left in the store. `content` is absent when it is exactly what was handed in. */
export interface CommitReply {
  generation: number;
  content?: string | null;
  /** The key of every entry that was handed in, where asked for. */
  keys?: string[];
}

/** What merging two changes gave. */
export interface MergeReply {
  content: string;
  keys?: string[];
  /** Present when a change was dropped because its account is gone. */
  conflict?: Failure;
}

export interface InfoReply {
  backend: string;
  protection: string;
  survivesReboot: boolean;
  location: string;
  crashSafe: boolean;
  ownerOnly?: false;
}

/** Something worth telling that is no failure. */
export interface EventReply {
  /** The number given when the cache was opened. */
  source: number;
  kind: "set_aside" | "lapsed" | "encrypted" | "moved" | "warning" | "notice";
  message: string;
  path?: string;
  copy?: string;
  from?: InfoReply;
  to?: InfoReply;
}

/** What opening came to. */
export interface OpenReply {
  /** The place of the store that was opened; absent where none works. */
  store?: number;
  /** The stores that were tried in vain. */
  attempts: AttemptReply[];
}

/** A store that was tried in vain. */
export interface AttemptReply {
  store: number;
  /** Whether its file could be prepared. */
  prepared: boolean;
  failure: Failure;
}

/** What a migration did, or would do. */
export interface MigrationReply {
  from: InfoReply;
  to: InfoReply;
  entries: number;
  outdated: number;
  oldCopy: "nothing" | "overwritten" | "released" | "emptied";
  reason?: string;
  resumed: boolean;
}

/** Where the key of an encrypted file comes from. */
export type KeyOptions =
  | { kind: "keystore"; service: string; account: string; promptLimit: number }
  /** Without a name it has the cache's partition. */
  | { kind: "portal"; promptLimit: number }
  | { kind: "kernel-keyring"; name: string | undefined }
  | { kind: "passphrase-variable" | "key-variable"; name: string }
  | { kind: "key-file"; path: string }
  | { kind: "passphrase"; passphrase: string }
  /** Operations that need the passphrase fail with `passphrase_wanted` until it is supplied. */
  | { kind: "ask" };

/** A store. */
export interface StoreOptions {
  kind: "secret-service" | "keychain" | "data-protection" | "encrypted-file" | "plaintext-file" | "memory";
  /** `encrypted-file`. */
  key: KeyOptions | undefined;
  /** `data-protection`: whether every user of the machine can decrypt it. */
  machine: boolean | undefined;
  /** `data-protection`: a second secret. */
  entropy: string | undefined;
}

/** A cache: its names, and the stores to try. */
export interface CacheOptions {
  /** The number that its events carry. */
  source: number;
  /** Absolute. */
  path: string;
  service: string | undefined;
  account: string | undefined;
  /** Default: `service/account`. */
  partition: string | undefined;
  /** The stores to try, in this order; at least one. */
  stores: StoreOptions[];
  /** Further stores that may have kept this cache before. */
  importFrom: StoreOptions[];
  /** In milliseconds; 0 for no prompt. */
  promptLimit: number;
  synced: boolean;
}

/** Carries every answer of this thread. */
export type NativeChannel = {
  /** Gives up everything that waits, releases every lock, and waits at most so long for writes under way. */
  close(milliseconds: number): void;
};

/** One cache. Methods that take a call number answer over the channel under that number. */
export interface NativeCache {
  /**
   * Opens the first store that works: creates its file where `create`; proves it and imports what other stores left where
   * `verify`. Waits at most `limit` milliseconds for the lock. A passphrase that has to be asked for is a failure.
   */
  open(call: number, create: boolean, verify: boolean, limit: number): void;
  isCurrent(generation: number): boolean;
  read(call: number, known: number, force: boolean, keys: boolean): void;
  /** Answers with the bytes, or `null`; reads under the lock `hold` where that is not 0. */
  loadBytes(call: number, hold: number): void;
  begin(
    call: number,
    known: number,
    force: boolean,
    keys: boolean,
    limit: number,
    /** Damage met under the hold is an error instead of being set aside. */
    strict: boolean,
  ): void;
  /**
   * Merges `base` to `ours` into the store; `base` was made from `held`. Under a hold, `null` means what is held, for
   * either. No base at all is `undefined`.
   */
  commit(
    call: number,
    hold: number,
    held: string | null,
    base: string | null | undefined,
    ours: string,
    disturbed: boolean,
    keys: boolean,
    limit: number,
    /** As in `begin`, where there is no hold. */
    strict: boolean,
  ): void;
  /** Stores `contents` as they are; under the lock `hold` where that is not 0. */
  replace(call: number, hold: number, contents: string | Uint8Array, limit: number): void;
  remove(call: number, hold: number, limit: number): void;
  setAside(call: number, hold: number, reason: string): void;
  /** Answers when the lock is free. */
  release(call: number, hold: number): void;
  /** The lock that a write of this cache takes. */
  lock(): NativeLock;
  /** Whether anything ever needed the passphrase of the key with this number. */
  wanted(key: number): boolean;
  /** Makes the passphrase of a key known that was wanted; without one, unknown again; `null`: the program cannot give it. */
  supply(key: number, passphrase?: string | null): void;
  info(call: number): void;
}

/** A lock, for persistences that Rust knows nothing of. */
export interface NativeLock {
  acquire(call: number, limit: number): void;
  /** Ends the hold's expiry, before a commit; `false` when it has expired already. */
  pin(hold: number): boolean;
  /** Answers when the lock is free. */
  release(call: number, hold: number): void;
}

/** What a look through the cache of a partition found. */
export interface SurveyReply {
  /** The cache without foreign entries and spent tokens; absent when there were none. */
  content?: string;
  /** The number of entries that belong to another partition. */
  foreign: number;
  /** Nothing is left that a client could use. */
  isEmpty: boolean;
  /** A refresh token is left. */
  isRefreshable: boolean;
  /** When the last access token ends, in milliseconds since 1970; absent without one. */
  lastExpiry?: number;
}

/** Whose tokens a record of `tokenkeep/server` holds. Every call answers at once; failures have their kind as `code`. */
export interface NativePartition {
  recordName(): string;
  seal(key: Uint8Array, content: string, written: number, expires: number): Uint8Array;
  open(keys: readonly Uint8Array[], record: Uint8Array): string;
  survey(content: string, now: number): SurveyReply;
}

export interface Addon {
  version(): string;
  Partition: new (prefix: string, kind: string, text: string, other?: string) => NativePartition;
  recordKeyId(key: Uint8Array): Uint8Array;
  openRecord(name: string, keys: readonly Uint8Array[], record: Uint8Array): string;
  resealRecord(name: string, keys: readonly Uint8Array[], key: Uint8Array, record: Uint8Array): Uint8Array;
  mergeCaches(
    held: string | null,
    base: string | null,
    ours: string,
    theirs: string | null,
  ): { content: string; unchanged: boolean; dropped: number };
  Channel: new (dispatch: (call: number, failure: Failure | null, value: unknown) => void) => NativeChannel;
  Cache: new (channel: NativeChannel, options: CacheOptions) => NativeCache;
  Lock: {
    new (channel: NativeChannel, path: string): NativeLock;
    within(channel: NativeChannel, name: string): NativeLock;
  };
  merge(
    channel: NativeChannel,
    call: number,
    held: string | null,
    base: string | undefined,
    ours: string,
    theirs: string | null,
    disturbed: boolean,
    keys: boolean,
  ): void;
  keys(channel: NativeChannel, call: number, text: string): void;
  migrate(
    channel: NativeChannel,
    call: number,
    from: NativeCache,
    to: NativeCache,
    plan: boolean,
    limit: number,
  ): void;
}
