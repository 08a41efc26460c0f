// A cache plugin in one line: what opens the store, when, and what happens to accesses meanwhile.
import { resolve } from "node:path";
import { ASYNC_DISPOSE, type AsyncDisposing } from "../disposing";
import type { LockOptions } from "../lock-options";
import { membersOf } from "../members";
import type { CachePlugin, TokenCacheContext } from "../msal-types";
import { type CachePluginOptions, PersistenceCachePlugin } from "../plugin/cache-plugin";
import type { CacheChange } from "../plugin/watch/accounts";
import type { CacheWatcher, WatchOptions } from "../plugin/watch/watcher";
import type { InformedPersistence, IPersistenceConfiguration } from "../types";
import { PersistenceCreator } from "./creator";

/** What can be chosen for {@link createCachePlugin}: how long to wait for other processes, and the plugin's own options. */
export interface CreateCachePluginOptions extends LockOptions, CachePluginOptions {}

/** A cache plugin that opens its store at the first access. */
export interface OpeningCachePlugin extends CachePlugin, AsyncDisposing {
  /**
   * Opens the store now, if no access has, and gives it.
   *
   * @throws PersistenceError those of `PersistenceCreator.createPersistence`.
   */
  ready(): Promise<InformedPersistence>;
  /** As {@link PersistenceCachePlugin.watch}. */
  watch(listener: (change: CacheChange) => void, options?: WatchOptions): Promise<CacheWatcher>;
  /** As {@link PersistenceCachePlugin.watch}. */
  watch(options?: WatchOptions): Promise<CacheWatcher>;
  /** As {@link PersistenceCachePlugin.close}; a store that was never opened needs none. */
  close(): Promise<void>;
}

/**
 * A cache plugin over the platform's own store. It returns at once: the store is opened, and verified, at the first access, which
 * rejects where that fails; the next access tries again.
 *
 * ```js
 * const cachePlugin = createCachePlugin({ cachePath, serviceName: "my-app", accountName: "tokens" });
 * const client = new PublicClientApplication({ auth, cache: { cachePlugin } });
 * await cachePlugin.ready(); // only to have the error now
 * ```
 *
 * @param configuration As for `PersistenceCreator.createPersistence`.
 */
export function createCachePlugin(
  configuration: IPersistenceConfiguration,
  options: CreateCachePluginOptions = {},
): OpeningCachePlugin {
  const lockOptions: LockOptions = options;
  const { cachePath } = configuration;
  // Now: a `chdir` before the first access must not move it.
  const config =
    typeof cachePath === "string"
      ? { ...membersOf(configuration), cachePath: resolve(cachePath) }
      : configuration;
  let opening: Promise<PersistenceCachePlugin> | undefined;
  // msal-node calls `after` even when `before` failed: then the client holds nothing that may be written.
  const failed = new WeakSet<TokenCacheContext>();

  async function open(): Promise<PersistenceCachePlugin> {
    const persistence = await PersistenceCreator.createPersistence(config);
    return new PersistenceCachePlugin(persistence, lockOptions, options);
  }

  function plugin(): Promise<PersistenceCachePlugin> {
    if (opening === undefined) {
      const begun = open();
      opening = begun;
      begun.catch(() => {
        // A failure that may have passed by the next access.
        opening = undefined;
      });
    }
    return opening;
  }

  async function close(): Promise<void> {
    const opened = await opening?.catch(() => undefined);
    await opened?.close();
  }

  return {
    async ready() {
      return (await plugin()).persistence as InformedPersistence;
    },
    async beforeCacheAccess(context) {
      let opened: PersistenceCachePlugin;
      try {
        opened = await plugin();
      } catch (error) {
        failed.add(context);
        throw error;
      }
      await opened.beforeCacheAccess(context);
    },
    async afterCacheAccess(context) {
      if (!failed.delete(context)) {
        await (await plugin()).afterCacheAccess(context);
      }
    },
    async watch(listener?: ((change: CacheChange) => void) | WatchOptions, watching?: WatchOptions) {
      const opened = await plugin();
      return typeof listener === "function" ? opened.watch(listener, watching) : opened.watch(listener);
    },
    close,
    [ASYNC_DISPOSE]: close,
  };
}
