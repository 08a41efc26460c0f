// The plugin itself: how @azure/identity asks for a cache, and what it gets.
import { promises as files } from "node:fs";
import { resolve } from "node:path";
import {
  type CachePluginOptions,
  DataProtectionScope,
  Environment,
  type Fallback,
  isPersistenceError,
  type LoggerOptions,
  PersistenceCachePlugin,
  PersistenceCreator,
  PersistenceError,
  type PromptOptions,
} from "../index.js";
import { membersOf } from "../members";
import { Names, type Place, placeOf } from "./names";
import { SERVICE, takeIn } from "./original";

/** The argument of `useIdentityPlugin` of `@azure/identity`. */
export type IdentityPlugin = (context: unknown) => void;

/** A credential's cache options: `tokenCachePersistenceOptions`. */
export interface TokenCachePersistence {
  /** The cache's own name, a file name. Default `msal.cache`. */
  readonly name?: string;
  /**
   * Keep the tokens in a file that is not encrypted (mode 0600) where there is no keyring. Otherwise that is an error.
   * On Windows tokens are always encrypted.
   */
  readonly unsafeAllowUnencryptedStorage?: boolean;
}

/** Options for all credentials. */
export interface CachePersistenceOptions extends PromptOptions, CachePluginOptions {
  /** The folder of the caches. Default: the folder `.IdentityService` of the user, as with all Azure SDKs. */
  readonly directory?: string;
  /**
   * What to try where the platform's own store does not work, such as an encrypted file with a key of the operator;
   * before the plaintext file that `unsafeAllowUnencryptedStorage` allows. Default: nothing.
   */
  readonly fallback?: readonly Fallback[];
  /** The receiver of log messages. Default: none. */
  readonly loggerOptions?: LoggerOptions;
}

/** The part of the plugin context that is used here. */
interface Context {
  readonly cachePluginControl: {
    setPersistence(factory: (options?: TokenCachePersistence) => Promise<PersistenceCachePlugin>): void;
  };
}

/**
 * Keeps the tokens of `@azure/identity`'s credentials in a cache that survives the process, in the place of
 * `@azure/identity-cache-persistence`:
 *
 * ```js
 * useIdentityPlugin(cachePersistencePlugin);
 * const credential = new DeviceCodeCredential({ tokenCachePersistenceOptions: { enabled: true, name: "my-app" } });
 * ```
 *
 * Each name has a file and a keystore item of its own, and so do its tokens with and without continuous access
 * evaluation. What the original plugin stored is taken in when a name is first used.
 *
 * A credential rejects with a `PersistenceError`, whose message says what to do, where its cache cannot be opened.
 */
export const cachePersistencePlugin: IdentityPlugin = createCachePersistencePlugin();

/**
 * The same with options of its own, such as an encrypted file for machines without a keyring.
 *
 * @throws PersistenceError never by itself: what is wrong with the options rejects the first token that is asked for.
 */
export function createCachePersistencePlugin(given: CachePersistenceOptions = {}): IdentityPlugin {
  const names = new Names();
  const open = new Map<string, Promise<PersistenceCachePlugin>>();
  // Now: a later `chdir` must not move the caches.
  const directory = typeof given.directory === "string" ? resolve(given.directory) : given.directory;
  const options = membersOf({ ...membersOf(given), directory });

  return (context) => {
    (context as Context).cachePluginControl.setPersistence((cache = {}) => {
      const asked = membersOf(cache);
      const name = names.suffixed(asked.name);
      const unencrypted = asked.unsafeAllowUnencryptedStorage === true;
      const key = JSON.stringify([name, asked.name, unencrypted, Environment.getUserRootDirectory()]);
      let opening = open.get(key);
      if (opening === undefined) {
        opening = openPlugin(name, asked.name, unencrypted, options);
        open.set(key, opening);
        // @azure/identity asks for both caches and waits for the one it needs: the other's failure is no crash. And what
        // failed may work for the next credential.
        opening.catch(() => open.delete(key));
      }
      return opening;
    });
  };
}

async function openPlugin(
  name: string,
  given: string | undefined,
  unencrypted: boolean,
  options: CachePersistenceOptions,
): Promise<PersistenceCachePlugin> {
  const place = placeOf(name, given, options.directory);
  const begun = await files.stat(place.path).then(
    () => true,
    () => false,
  );
  const persistence = await createPersistence(place, unencrypted, options);
  const { onEvent, onDamage } = options;
  const plugin = new PersistenceCachePlugin(persistence, undefined, { onEvent, onDamage });
  await takeIn(plugin, place, await persistence.info(), begun);
  return plugin;
}

async function createPersistence(place: Place, unencrypted: boolean, options: CachePersistenceOptions) {
  const { fallback = [], loggerOptions, allowPrompt, promptTimeout } = options;
  const plaintext = unencrypted && !Environment.isWindowsPlatform();
  try {
    return await PersistenceCreator.createPersistence({
      cachePath: place.path,
      dataProtectionScope: DataProtectionScope.CurrentUser,
      serviceName: SERVICE,
      accountName: place.name,
      fallback: plaintext ? [...fallback, { type: "plaintextFile" }] : fallback,
      loggerOptions,
      allowPrompt,
      promptTimeout,
    });
  } catch (cause) {
    if (plaintext || !isPersistenceError(cause) || cause.errorCode !== "CachePersistenceError") {
      throw cause;
    }
    throw PersistenceError.createCachePersistenceError(
      `The tokens of "${place.name}" cannot be kept encrypted, and unsafeAllowUnencryptedStorage is not set. ` +
        `${cause.errorMessage}. Make the keyring work, give createCachePersistencePlugin a fallback, or set ` +
        "unsafeAllowUnencryptedStorage to keep them in a file that only its mode protects",
      { cause, code: cause.code },
    );
  }
}
