// The cache plugin for msal-node: what happens before and after each access of a client to its cache.
//
// What msal-node does, and every rule here answers: it calls `after` even when `before` failed; it clears its memory around
// some reads and puts back what it was last given; it lets several clients share a plugin; and what it is given is added
// to its memory, so that what others removed has to be taken out one by one.
import { requireDamageRule, requireTimes, wrongArgument } from "../arguments";
import { programTime, setImmediate } from "../clock";
import { ASYNC_DISPOSE, type AsyncDisposing } from "../disposing";
import { damagedError, isPersistenceError, nameOf } from "../error";
import { type CacheEvent, report, type Subscription, subscribe, unsubscribe } from "../events";
import { type Snapshot, textIn } from "../handle/cache";
import { noteAccess, refuseOwnWait } from "../handle/held";
import { type LockOptions, lockLimit } from "../lock-options";
import { type Logger, log } from "../logger";
import type { CachePlugin, TokenCacheContext } from "../msal-types";
import { placeOf } from "../place";
import { type Kin, kinOf, type Memory } from "../stores/kin";
import type { IPersistence } from "../types";
import { VERSION } from "../version";
import { Client, type Window } from "./client";
import { CustomStore } from "./custom-store";
import { NativeStore } from "./native-store";
import { accountsKept, keptMessage } from "./sign-outs";
import type { Store } from "./store";
import type { CacheChange } from "./watch/accounts";
import type { SignsOfChange } from "./watch/signs";
import type { AccountWatcher, CacheWatcher, WatchOptions } from "./watch/watcher";

/** What can be chosen beside the lock's time limit. */
export interface CachePluginOptions {
  /** Told of everything worth telling a person although nothing failed, such as content that was set aside. */
  onEvent?: (event: CacheEvent) => void;
  /**
   * The rule for content that a client refuses or a key finds altered. `setAside` (the default): the next writer keeps a
   * copy beside it, and the client starts from an empty cache. `fail`: reading and writing reject with an
   * error whose `code` is `damaged`, and nothing is written. A persistence that is not of this package has no place for
   * copies: a write rejects with that error under either rule.
   */
  onDamage?: "setAside" | "fail";
}

/** What a `before` left for its `after`. */
type Access =
  | { readonly kind: "read" }
  | { readonly kind: "failed" }
  | { readonly kind: "write"; readonly store: Store; readonly window: Window; ended(): void };

/** What is known of a persistence. */
interface Known {
  readonly kin: Kin | undefined;
  /** Absolute. */
  readonly path: string;
  native?: NativeStore;
  custom?: CustomStore;
}

/** What printing a plugin must not show, and spreading it must not copy. */
interface State {
  readonly limit: number;
  /** Damage is an error. */
  readonly strict: boolean;
  readonly clients: WeakMap<object, Client>;
  readonly accesses: WeakMap<object, Access>;
  readonly stores: WeakMap<object, Known>;
  readonly watchers: Set<AccountWatcher>;
  /** Commits under way. */
  readonly commits: Set<Promise<unknown>>;
  subscription: Subscription | undefined;
  content: string | null;
  /** Set where a program put `null` into `currentCache`, which asks for a reload. */
  reload: boolean;
}

/**
 * Keeps the cache of msal-node's clients in a persistence, shared with other clients and processes.
 *
 * ```js
 * const cachePlugin = new PersistenceCachePlugin(persistence, { timeout: 10_000 }, { onEvent: console.warn });
 * const client = new PublicClientApplication({ auth, cache: { cachePlugin } });
 * ```
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: a class cannot have a member that depends on the compiler
export class PersistenceCachePlugin implements CachePlugin {
  /** Where the cache is kept. */
  persistence: IPersistence;
  /** When the store was last read or written, in milliseconds since the epoch. 0 forces a reload. */
  lastSync: number;
  /** The lock file that other implementations look for. */
  lockFilePath: string;
  private readonly logger: Logger;
  declare private readonly state: State;

  /**
   * @param persistence Where to keep the cache.
   * @param lockOptions How long to wait for other processes; 50 seconds unless given.
   */
  constructor(persistence: IPersistence, lockOptions?: LockOptions, options?: CachePluginOptions) {
    if (persistence === null || typeof persistence !== "object") {
      throw wrongArgument("persistence", "an IPersistence", persistence);
    }
    this.persistence = persistence;
    this.logger = persistence.getLogger();
    this.lockFilePath = `${persistence.getFilePath()}.lockfile`;
    this.lastSync = 0;
    const state: State = {
      limit: lockLimit(lockOptions),
      strict: requireDamageRule(options?.onDamage) === "fail",
      clients: new WeakMap(),
      accesses: new WeakMap(),
      stores: new WeakMap(),
      watchers: new Set(),
      commits: new Set(),
      subscription: undefined,
      content: null,
      reload: true,
    };
    Object.defineProperty(this, "state", { value: state });
    // Resolves its path now: a later `chdir` must not move it.
    this.known();
    if (options?.onEvent) {
      state.subscription = subscribe(this.logger, options.onEvent);
    }
  }

  /** The content of the store as of the last access. `null` forces a reload. */
  get currentCache(): string | null {
    return this.state.content;
  }

  /** `null` forces a reload at the next access. */
  set currentCache(content: string | null) {
    this.state.content = content;
    this.state.reload = content === null;
  }

  /**
   * Brings the client up to date. When the client announces a change, also takes the lock, which it keeps until
   * `afterCacheAccess`, or for ten seconds.
   */
  async beforeCacheAccess(cacheContext: TokenCacheContext): Promise<void> {
    const { accesses } = this.state;
    const client = this.clientOf(cacheContext);
    const abandoned = this.abandon(cacheContext, client);
    // Until it is known to have succeeded: msal-node calls `after` even if this throws.
    accesses.set(cacheContext, { kind: "failed" });
    try {
      if (abandoned !== undefined) {
        await abandoned;
      }
      if (cacheContext.cacheHasChanged) {
        accesses.set(cacheContext, await this.openWindow(cacheContext, client));
      } else {
        await this.refresh(client);
        accesses.set(cacheContext, { kind: "read" });
      }
    } catch (error) {
      client.forget();
      log(this.logger, "error", `Before cache access: ${sentenceOf(error)}`);
      throw error;
    }
  }

  /** Merges what the client changed into the store, and releases the lock. */
  async afterCacheAccess(cacheContext: TokenCacheContext): Promise<void> {
    const access = this.state.accesses.get(cacheContext);
    this.state.accesses.delete(cacheContext);
    if (access?.kind === "failed") {
      // The client never saw the store: what it holds must not be written, and the first error is the one to show.
      return;
    }
    const client = this.clientOf(cacheContext);
    const window = access?.kind === "write" ? access.window : undefined;
    const store = access?.kind === "write" ? access.store : this.store();
    if (access?.kind === "write") {
      client.closeWindow(access.window);
      access.ended();
    }
    if (!cacheContext.cacheHasChanged) {
      if (window !== undefined) {
        await store.release(window.hold);
      }
      return;
    }
    let ours: string;
    try {
      // In this very tick: later, the client's memory may hold half of another access.
      ours = cacheContext.tokenCache.serialize();
    } catch (error) {
      client.forget();
      if (window !== undefined) {
        await store.release(window.hold);
      }
      throw error;
    }
    const committing = this.commit(client, store, window, ours);
    client.committing = committing;
    this.state.commits.add(committing);
    try {
      await committing;
    } finally {
      this.state.commits.delete(committing);
      if (client.committing === committing) {
        client.committing = undefined;
      }
    }
  }

  /**
   * Calls `listener` whenever the accounts in the cache changed otherwise than through this plugin: by another process,
   * whatever library it uses, or by another plugin in this one. msal-node's clients of this plugin need no telling: they
   * see it with their next request.
   *
   * The difference is that to the last call, so that none is missed and what was undone meanwhile is not told; it comes
   * mostly within a third of a second. What cannot be read is logged as a warning and tried again; accounts are
   * not taken for gone meanwhile. Watching does not keep the process alive.
   *
   * ```js
   * const watcher = await cachePlugin.watch(({ added, removed }) => console.log(added, removed));
   * watcher.close();
   * ```
   *
   * @returns when differences are told from now on.
   * @throws PersistenceError those of reading the cache; `ERR_INVALID_ARG_TYPE` for wrong arguments; `DamagedError` where what
   * is stored is no token cache.
   */
  async watch(listener: (change: CacheChange) => void, options?: WatchOptions): Promise<CacheWatcher>;
  /** The same without a listener: the changes are what iterating over the watcher gives. */
  async watch(options?: WatchOptions): Promise<CacheWatcher>;
  async watch(
    first?: ((change: CacheChange) => void) | WatchOptions,
    second?: WatchOptions,
  ): Promise<CacheWatcher> {
    if (first !== undefined && typeof first !== "function" && (typeof first !== "object" || first === null)) {
      throw wrongArgument("listener", "a function", first);
    }
    const [listener, options] = typeof first === "function" ? [first, second] : [undefined, first];
    requireTimes(["coalesce", "checkEvery", "rereadEvery"], options);
    const { logger } = this;
    const { watchers } = this.state;
    const { kin, path } = this.known();
    // A file of its own, which programs that do not watch never read.
    const { AccountWatcher } = require("./watching.js") as typeof import("../watching");
    const watcher = new AccountWatcher(
      {
        path,
        ...(kin?.memory && { signs: (onSign: () => void) => signsOfMemory(kin.memory as Memory, onSign) }),
        read: async (force) => textIn(await this.store().read(force, false)),
        warn: (message) => report(logger, { kind: "warning", message }),
        failed: (error) => log(logger, "error", `A listener of changes failed: ${nameOf(error)}`),
        ended: (one) => void watchers.delete(one),
      },
      listener,
      options,
    );
    watchers.add(watcher);
    await watcher.start();
    return watcher;
  }

  /**
   * Ends what this plugin watches and its `onEvent`, and waits for writes under way. The store itself needs no closing, and the
   * plugin can be used again.
   */
  async close(): Promise<void> {
    const { watchers, commits, subscription } = this.state;
    if (subscription !== undefined) {
      unsubscribe(this.logger, subscription);
      this.state.subscription = undefined;
    }
    for (const watcher of watchers) {
      watcher.close();
    }
    await Promise.allSettled(commits);
  }

  /** @internal Typed by the interface, for compilers that know the symbol. */
  [ASYNC_DISPOSE](): Promise<void> {
    return this.close();
  }

  private async commit(
    client: Client,
    store: Store,
    window: Window | undefined,
    ours: string,
  ): Promise<void> {
    const ended = [...this.state.watchers].map((watcher) => watcher.writing());
    let stored = false;
    try {
      const held = window?.hold.snapshot.content ?? null;
      const change = { held, base: window?.base, ours, disturbed: window?.disturbed ?? false };
      const { snapshot, keys } = await store.commit(window?.hold, change, client.wantsKeys);
      stored = true;
      client.exchange(keys ?? []);
      this.synced(store, snapshot);
      if (change.disturbed) {
        this.tellOfSignOuts(client, accountsKept(change.base, ours, snapshot.content));
      }
    } catch (error) {
      // Not acknowledged, so not to be believed: the next access takes out again what the store does not have.
      client.exchange(keysOf(ours));
      client.forget();
      log(this.logger, "error", `After cache access: ${sentenceOf(error)}`);
      throw error;
    } finally {
      for (const end of ended) {
        end(window?.base, stored ? ours : undefined);
      }
    }
  }

  private tellOfSignOuts(client: Client, accounts: number): void {
    if (accounts === 0) {
      return;
    }
    const path = this.persistence.getFilePath();
    report(this.logger, { kind: "signOutUndone", message: keptMessage(accounts, path), path, accounts });
    // What the client shows and what is stored have to be the same again.
    client.forget();
  }

  private async refresh(client: Client): Promise<void> {
    if (client.disturb()) {
      // A change is being made to this very memory. Its owner brought it up to date when it began.
      return;
    }
    const store = this.store();
    if (client.committing !== undefined) {
      await client.committing.catch(() => {
        // The access that made the change reports the error.
      });
    }
    const force = this.reloadForced();
    const seen = client.generationOf(store);
    if (!force && seen !== undefined && store.isCurrent(seen)) {
      return;
    }
    const snapshot = await store.read(force, client.wantsKeys);
    this.synced(store, snapshot);
    if (client.disturb()) {
      return;
    }
    const since = client.generationOf(store);
    if (since !== undefined && (since > snapshot.generation || (since === snapshot.generation && !force))) {
      // Another access of this client got there first, perhaps with something newer.
      return;
    }
    try {
      client.adopt(store, snapshot.generation, textIn(snapshot), snapshot.keys);
    } catch (error) {
      if (this.state.strict) {
        throw damagedError(refusal(this.persistence, error));
      }
      // Only a writer may set content aside. A reader says so and goes on without, so that the user can sign in again.
      report(this.logger, { kind: "warning", message: refusal(this.persistence, error) });
      client.adoptNothing(store, snapshot.generation);
    }
  }

  private async openWindow(context: TokenCacheContext, client: Client): Promise<Access> {
    const { tokenCache } = context;
    const store = this.store();
    const { path } = this.known();
    refuseOwnWait(path, context);
    const hold = await store.beginWrite(this.reloadForced(), client.wantsKeys);
    try {
      // Wait for a new task: by then msal-node has finished its other changes to this memory.
      await new Promise(setImmediate);
      this.synced(store, hold.snapshot);
      // An older window of this client, whose end never came, must not take what follows for its own changes.
      client.disturb();
      const { generation, keys } = hold.snapshot;
      try {
        client.adopt(store, generation, textIn(hold.snapshot), keys);
      } catch (error) {
        await store.setAside(hold, refusal(this.persistence, error));
        client.adoptNothing(store, generation);
      }
      const base = tokenCache.serialize();
      return {
        kind: "write",
        store,
        window: client.openWindow(hold, base),
        ended: noteAccess(path, context),
      };
    } catch (error) {
      // msal-node tells the program of the failure next: the lock must not outlive the news.
      await store.release(hold);
      throw error;
    }
  }

  /** Releases what an earlier `before` of the same context left without an `after`. */
  private abandon(cacheContext: TokenCacheContext, client: Client): Promise<void> | undefined {
    const access = this.state.accesses.get(cacheContext);
    if (access?.kind !== "write") {
      return undefined;
    }
    client.closeWindow(access.window);
    access.ended();
    return access.store.release(access.window.hold);
  }

  private clientOf({ tokenCache }: TokenCacheContext): Client {
    const { clients } = this.state;
    let client = clients.get(tokenCache);
    if (client === undefined) {
      client = new Client(tokenCache);
      clients.set(tokenCache, client);
    }
    return client;
  }

  /** Asked anew each time: programs replace the persistence, and test doubles its methods. */
  private store(): Store {
    const { persistence, state } = this;
    const known = this.known();
    const { kin, path } = known;
    const native = kin?.version === VERSION ? kin.native() : undefined;
    if (native !== undefined) {
      known.native ??= new NativeStore(native, path, state.limit, state.strict);
      return known.native;
    }
    known.custom ??= new CustomStore(persistence, kin, path, this, state.limit);
    return known.custom;
  }

  private known(): Known {
    const { persistence, state } = this;
    let known = state.stores.get(persistence);
    if (known === undefined) {
      const kin = kinOf(persistence);
      known = { kin, path: kin?.place() ?? placeOf(persistence) };
      state.stores.set(persistence, known);
    }
    return known;
  }

  private reloadForced(): boolean {
    return this.lastSync === 0 || this.state.reload;
  }

  private synced(store: Store, snapshot: Snapshot): void {
    this.state.content = snapshot.content;
    this.state.reload = false;
    if (store instanceof NativeStore) {
      // Only for show: our own stores compare stamps, not clocks. Others keep this field themselves.
      this.lastSync = programTime();
    }
  }
}

export interface PersistenceCachePlugin extends AsyncDisposing {}

/** There is no file whose events could be watched: the memory tells of its changes itself. */
function signsOfMemory({ listeners }: Memory, onSign: () => void): SignsOfChange {
  return { arm: () => void listeners.add(onSign), close: () => void listeners.delete(onSign) };
}

/** What to say about content that a client refuses. Never the client's own message: a parser quotes what it read. */
function refusal(persistence: IPersistence, error: unknown): string {
  return `The token cache at ${persistence.getFilePath()} cannot be read by the client (${nameOf(error)})`;
}

/** What a log says of an error. */
function sentenceOf(error: unknown): string {
  return isPersistenceError(error) ? error.message : nameOf(error);
}

/** The keys of every entry of a cache that could not be stored. */
function keysOf(text: string): string[] {
  try {
    return Object.values(JSON.parse(text) as object).flatMap((section) =>
      section !== null && typeof section === "object" ? Object.keys(section) : [],
    );
  } catch {
    // Not a token cache, so there are no entries to take back.
    return [];
  }
}
