// Every exported name, used without msal and without @types/node: the package's own types must stand alone.
import {
  type AsyncDisposing,
  type CacheChange,
  type CacheEvent,
  type CachePluginOptions,
  type CacheWatcher,
  type CreateCachePluginOptions,
  type CrossPlatformLockOptions,
  createCachePlugin,
  DataProtectionScope,
  type Disposing,
  type EncryptedFileOptions,
  EncryptedFilePersistence,
  type EncryptionKey,
  Environment,
  type Fallback,
  FilePersistence,
  FilePersistenceWithDataProtection,
  type IPersistence,
  type IPersistenceConfiguration,
  isPersistenceError,
  KeychainPersistence,
  LibSecretPersistence,
  type LockOptions,
  type Logger,
  type LoggerOptions,
  MemoryPersistence,
  type MigrateOptions,
  type MigrationReport,
  migrate,
  NativeBrokerPlugin,
  type OpeningCachePlugin,
  PersistenceCachePlugin,
  PersistenceCreator,
  PersistenceError,
  type PersistenceErrorCode,
  type PersistenceInfo,
  type PromptOptions,
  type PromptPolicy,
  type WatchedAccount,
  type WatchOptions,
} from "tokenkeep";

const loggerOptions: LoggerOptions = {
  loggerCallback: (level: number, message: string, containsPii: boolean) =>
    void [level, message, containsPii],
  piiLoggingEnabled: false,
  logLevel: 2,
};
const prompt: PromptPolicy = false;
const prompts: PromptOptions = { allowPrompt: true, promptTimeout: 30_000 };
const keys: EncryptionKey[] = [
  { type: "keystore", serviceName: "service", accountName: "key" },
  { type: "kernelKeyring" },
  { type: "portal" },
  { type: "kernelKeyring", name: "name" },
  { type: "passphrase", passphrase: "words" },
  { type: "passphrase", passphrase: () => "words" },
  { type: "passphrase", passphrase: async () => "words" },
  { type: "passphrase", environmentVariable: "PASSPHRASE" },
  { type: "keyFile", path: "/run/secrets/key" },
  { type: "environment", environmentVariable: "KEY" },
];
// @ts-expect-error: a type that there is not
const noSuchKey: EncryptionKey = { type: "secret" };
// @ts-expect-error: a field is missing
const halfAKey: EncryptionKey = { type: "keystore", serviceName: "service" };
const encrypted: EncryptedFileOptions = { partition: "service/account", ...prompts };
const scope: DataProtectionScope = DataProtectionScope.CurrentUser;
const fallback: readonly Fallback[] = [
  ...keys.map((key): Fallback => ({ type: "encryptedFile", key })),
  { type: "plaintextFile" },
  { type: "memory" },
];
// @ts-expect-error: an encrypted file needs a key
const withoutKey: Fallback = { type: "encryptedFile" };
const configuration: IPersistenceConfiguration = {
  cachePath: `${Environment.getUserRootDirectory()}/cache.json`,
  dataProtectionScope: scope,
  serviceName: "service",
  accountName: "account",
  usePlaintextFileOnLinux: false,
  loggerOptions,
  allowPrompt: prompt,
  promptTimeout: 10_000,
  fallback: [...fallback, withoutKey],
};
const lock: CrossPlatformLockOptions = { retryNumber: 10, retryDelay: 20 };

class Own implements IPersistence {
  private content: string | null = null;
  constructor(private readonly logger: Logger) {}
  async save(contents: string): Promise<void> {
    this.content = contents;
  }
  async load(): Promise<string | null> {
    return this.content;
  }
  async delete(): Promise<boolean> {
    return false;
  }
  async reloadNecessary(lastSync: number): Promise<boolean> {
    return lastSync === 0;
  }
  getFilePath(): string {
    return "somewhere";
  }
  getLogger(): Logger {
    return this.logger;
  }
  async verifyPersistence(): Promise<boolean> {
    return true;
  }
  async createForPersistenceValidation(): Promise<IPersistence> {
    return this;
  }
}

class Louder extends FilePersistence {
  override async save(contents: string): Promise<void> {
    await super.save(contents.toUpperCase());
  }
}

export async function use(): Promise<PersistenceInfo[]> {
  const created = await PersistenceCreator.createPersistence(configuration);
  const file: FilePersistence = await FilePersistence.create("cache.json", loggerOptions);
  const stores: IPersistence[] = [
    created,
    file,
    new Louder("cache.json"),
    await FilePersistenceWithDataProtection.create("cache.json", scope, "entropy", loggerOptions),
    await KeychainPersistence.create("cache.json", "service", "account", loggerOptions),
    await LibSecretPersistence.create("cache.json", "service", "account", loggerOptions, {
      allowPrompt: "auto",
      standInKeys: keys,
    }),
    new Own(file.getLogger()),
    await MemoryPersistence.create(loggerOptions),
    new MemoryPersistence(),
  ];
  for (const key of [...keys, noSuchKey, halfAKey]) {
    stores.push(await EncryptedFilePersistence.create("cache.json", key, loggerOptions, encrypted));
  }
  const moving: MigrateOptions = { dryRun: true, retryNumber: 10, retryDelay: 100 };
  const report: MigrationReport = await migrate(file, created, moving);
  if (report.oldCopy === "released" && !report.dryRun) {
    throw new Error(
      `${report.entries} ${report.outdated} ${report.resumed} ${report.reason} ${report.from.location}`,
    );
  }
  await file.saveBuffer(await file.loadBuffer());
  const events: CacheEvent[] = [];
  const options: CachePluginOptions = { onEvent: (event) => events.push(event) };
  for (const store of stores) {
    const plugin = new PersistenceCachePlugin(store, lock, options);
    plugin.lastSync = 0;
    plugin.currentCache = null;
    plugin.persistence = file;
    plugin.lockFilePath = "elsewhere.lockfile";
    const memory = { deserialize: (_cache: string): void => {}, serialize: (): string => "{}" };
    await plugin.beforeCacheAccess({ cacheHasChanged: true, tokenCache: memory });
    await plugin.afterCacheAccess({ cacheHasChanged: true, tokenCache: memory });
  }
  const broker: { isBrokerAvailable: boolean } = new NativeBrokerPlugin();
  const error: Error = PersistenceError.createCachePersistenceError(String(broker.isBrokerAvailable));
  if (error instanceof PersistenceError && error.code === "ENOENT") {
    const parts: string[] = [error.errorCode, error.errorMessage, String(error.cause)];
    throw new PersistenceError(parts.join(), "again", { cause: error });
  }
  const info: PersistenceInfo | undefined = await stores[0]?.info?.();
  return [await created.info(), await file.info(), ...(info ? [info] : [])];
}

/** Watching, from a plugin of one's own. */
export async function watching(plugin: PersistenceCachePlugin): Promise<void> {
  const options: WatchOptions = { coalesce: 100, checkEvery: 60_000, rereadEvery: 5_000 };
  const listener = ({ added, removed, changed }: CacheChange): void => {
    const accounts: readonly WatchedAccount[] = [...added, ...removed, ...changed];
    for (const { homeAccountId, environment, username, name, tenants } of accounts) {
      void [homeAccountId, environment, username?.length, name?.length, tenants.length];
    }
  };
  const watcher: CacheWatcher = await plugin.watch(listener, options);
  watcher.close();
}

const opening: CreateCachePluginOptions = {
  timeout: 1_000,
  onDamage: "fail",
  onEvent: ({ kind }) => void kind,
};
const opened: OpeningCachePlugin = createCachePlugin(configuration, opening);
const wait: LockOptions = { timeout: 0 };

export async function follow(signal: never): Promise<(PersistenceErrorCode | undefined)[]> {
  const codes: (PersistenceErrorCode | undefined)[] = [];
  const ends: Disposing & AsyncDisposing = { ...(await opened.watch()), ...opened };
  try {
    const plugin = new PersistenceCachePlugin(await opened.ready(), wait);
    for await (const { added, removed } of await plugin.watch({ coalesce: 10, signal })) {
      codes.push(...[...added, ...removed].map(() => undefined));
    }
    await plugin.close();
  } catch (error) {
    if (isPersistenceError(error) && error.code === "store_locked") {
      codes.push(error.code);
    }
  }
  void ends;
  await opened.close();
  return codes;
}
