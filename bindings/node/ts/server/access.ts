// The cache plugins: one `before` and its `after`.
import type { CachePlugin, TokenCacheContext } from "../msal-types";
import { accountsIn, exchanged, feed } from "./memory-of-client";
import type { Partition } from "./record";
import type { Records, Stored } from "./records";
import { isStoreError, StoreError } from "./store-error";

/** What happens when the store does not answer. */
export type Outage = "error" | "bypass";

export interface AccessOptions {
  /** The program knows that there should be a record: its absence is told. */
  readonly expected?: boolean;
  /** One look serves every access of this plugin until it has written, for one call of msal-node with several accesses. */
  readonly share?: boolean;
  readonly outage?: Outage;
  /** False: read from the database, whatever memory holds. */
  readonly level1?: boolean;
}

interface Window {
  readonly stored: Stored;
  readonly base: string;
  /** The store did not answer, and the call goes on without it. */
  readonly blind: boolean;
}

/** The plugin over the record of one partition. */
export class Access implements CachePlugin {
  private readonly windows = new WeakMap<object, Window>();
  private look: Promise<Stored> | undefined;
  private seen: Stored | undefined;

  constructor(
    private readonly records: Records,
    private readonly place: Partition,
    private readonly options: AccessOptions = {},
  ) {}

  /** What this plugin read last. */
  get last(): Stored | undefined {
    return this.seen;
  }

  async beforeCacheAccess(context: TokenCacheContext): Promise<void> {
    const memory = context.tokenCache;
    let stored: Stored;
    let blind = false;
    try {
      stored = await this.read(context.cacheHasChanged);
    } catch (error) {
      if (this.options.outage !== "bypass" || !isStoreError(error) || !error.retryable) {
        throw error;
      }
      const { level1, tell } = this.records.options;
      tell({ type: "not_stored", partitionKind: this.place.kind, message: error.message, cause: error });
      const near = level1(this.place.kind)?.get(this.place.name, true);
      stored =
        near === undefined
          ? { content: null, revision: null }
          : await this.records.openNear(this.place, near);
      blind = true;
    }
    this.seen = stored;
    feed(memory, stored.content);
    if (context.cacheHasChanged) {
      this.look = undefined;
      this.windows.set(context, { stored, base: memory.serialize(), blind });
    }
    if (stored.content === null && this.options.expected && !blind) {
      this.records.options.tell({
        type: "vanished",
        partitionKind: this.place.kind,
        message:
          "The tokens of a signed-in user are gone: the record expired, was evicted, or was removed elsewhere",
      });
    }
  }

  async afterCacheAccess(context: TokenCacheContext): Promise<void> {
    const window = this.windows.get(context);
    this.windows.delete(context);
    // Without a window, `before` failed or announced no change: nothing is known to be replaced.
    if (!context.cacheHasChanged || window === undefined) {
      return;
    }
    const ours = context.tokenCache.serialize();
    const { stored, base, blind } = window;
    const change = { held: stored.content, base, ours };
    if (blind) {
      await this.records.keepNear(this.place, change);
      return;
    }
    try {
      await this.records.write(this.place, change, stored, { heal: this.heals });
      exchanged(context.tokenCache, ours);
    } catch (error) {
      if (!isStoreError(error) || !error.retryable || isSignOut(base, ours)) {
        throw error;
      }
      // The token that was just issued is good, and the earlier refresh token still is.
      this.records.options.tell({
        type: "not_stored",
        partitionKind: this.place.kind,
        message: error.message,
        cause: error,
      });
      await this.records.keepNear(this.place, change);
    }
  }

  private get heals(): boolean {
    return this.place.kind === "app" || this.place.kind === "obo";
  }

  private read(forWriting: boolean): Promise<Stored> {
    const { share = false, level1 = true } = this.options;
    const read = () => this.records.read(this.place, { heal: this.heals, level1: level1 && !forWriting });
    if (!share) {
      return read();
    }
    // A write names the revision that was read, so that an earlier look serves it as well. A failed look is made again.
    this.look ??= read().catch((error) => {
      this.look = undefined;
      throw error;
    });
    return this.look;
  }
}

/** The plugin of a first sign-in: the record is that of the account that comes. */
export class SignInAccess implements CachePlugin {
  private readonly windows = new WeakSet<object>();

  constructor(private readonly records: Records) {}

  beforeCacheAccess(context: TokenCacheContext): Promise<void> {
    if (context.cacheHasChanged) {
      this.windows.add(context);
    }
    return Promise.resolve();
  }

  async afterCacheAccess(context: TokenCacheContext): Promise<void> {
    if (!context.cacheHasChanged || !this.windows.delete(context)) {
      return;
    }
    const ours = context.tokenCache.serialize();
    const place = this.records.place("user", theAccountIn(ours));
    const stored = await this.records.read(place, { heal: true });
    await this.records.write(place, { held: null, base: null, ours }, stored, { heal: true });
    exchanged(context.tokenCache, ours);
  }
}

function theAccountIn(content: string): string {
  const accounts = accountsIn(content);
  const [account = ""] = accounts;
  if (accounts.length > 1) {
    throw new StoreError(
      "wrong_partition",
      `The client holds ${accounts.length} accounts after one sign-in. Use one client for each request; nothing was written`,
      { partitionKind: "user" },
    );
  }
  if (account === "") {
    throw new StoreError(
      "no_partition",
      "The sign-in gave no account, so that its tokens have no place. Ask for the scope openid; nothing was written",
      { partitionKind: "user" },
    );
  }
  return account;
}

/** Whether an account that was there is gone. */
function isSignOut(base: string, ours: string): boolean {
  const now = new Set(accountsIn(ours));
  return accountsIn(base).some((account) => !now.has(account));
}
