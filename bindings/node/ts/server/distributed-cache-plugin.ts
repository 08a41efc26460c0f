// The name that programs of msal-node's use today, over a store: the same partition manager, another import.
import type { CachePlugin, TokenCacheContext } from "../msal-types";
import { type ChangedAccount, changedAccounts, exchanged, feed } from "./memory-of-client";
import type { Stored } from "./records";
import { recordsOf, type TokenStore } from "./store";

/** msal-node's `IPartitionManager`. */
export interface PartitionManagerLike {
  /** The partition of the request; empty where it is not known yet. */
  getKey(): Promise<string>;
  /** The partition of an account. */
  extractKey(account: unknown): Promise<string>;
}

interface Window {
  readonly key: string;
  readonly stored: Stored;
  readonly base: string;
}

/** The kind of its partitions. */
const KIND = "partition";

/**
 * msal-node's `DistributedCachePlugin`, over a {@link TokenStore}. Each change goes to the partition of the account that it is of,
 * with that account's entries alone, also where several requests share a client.
 *
 * ```js
 * const plugin = new DistributedCachePlugin(store, partitionManager);
 * ```
 */
export class DistributedCachePlugin implements CachePlugin {
  private readonly windows = new WeakMap<object, Window>();

  constructor(
    private readonly store: TokenStore,
    private readonly partitionManager: PartitionManagerLike,
  ) {}

  /** Reads the partition of the request into the client. */
  async beforeCacheAccess(context: TokenCacheContext): Promise<void> {
    const records = recordsOf(this.store);
    const key = await this.partitionManager.getKey();
    const stored: Stored = key
      ? await records.read(records.place(KIND, key), { heal: context.cacheHasChanged })
      : { content: null, revision: null };
    feed(context.tokenCache, stored.content);
    if (context.cacheHasChanged) {
      this.windows.set(context, { key, stored, base: context.tokenCache.serialize() });
    }
  }

  /** Writes each changed account into its own partition. */
  async afterCacheAccess(context: TokenCacheContext): Promise<void> {
    const window = this.windows.get(context);
    this.windows.delete(context);
    if (!context.cacheHasChanged || window === undefined) {
      return;
    }
    const ours = context.tokenCache.serialize();
    for (const changed of changedAccounts(window.base, ours)) {
      await this.stored(window, changed, ours);
    }
    exchanged(context.tokenCache, ours);
  }

  private async stored(window: Window, changed: ChangedAccount, ours: string): Promise<void> {
    const records = recordsOf(this.store);
    const { homeAccountId } = changed;
    const key = homeAccountId === "" ? window.key : await this.partitionManager.extractKey(entityOf(changed));
    const place = records.place(KIND, key);
    const owner =
      homeAccountId === "" ? records.place("app", "any", "any") : records.place("user", homeAccountId);
    if (key === window.key) {
      const { stored, base } = window;
      await records.write(place, { held: stored.content, base, ours, owner }, stored, { heal: true });
      return;
    }
    const stored = await records.read(place, { heal: true });
    // The record of this account was not loaded, so that nothing of it was removed.
    await records.write(place, { held: null, base: null, ours, owner }, stored, { heal: true });
  }
}

/** The account as msal-node hands it to a partition manager. */
function entityOf({ homeAccountId, account = {} }: ChangedAccount): object {
  return {
    homeAccountId,
    environment: account.environment,
    realm: account.realm,
    localAccountId: account.local_account_id,
    username: account.username,
    authorityType: account.authority_type,
    name: account.name,
  };
}
