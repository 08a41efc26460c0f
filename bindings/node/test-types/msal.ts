// The package beside the real msal-node: each side's types have to fit the other's.
import {
  type Configuration,
  type ICachePlugin,
  type INativeBrokerPlugin,
  type ISerializableTokenCache,
  Logger,
  LogLevel,
  PublicClientApplication,
  type TokenCacheContext,
} from "@azure/msal-node";
import {
  FilePersistence,
  type IPersistence,
  type LoggerOptions,
  NativeBrokerPlugin,
  PersistenceCachePlugin,
  PersistenceCreator,
} from "tokenkeep";

type MsalLoggerOptions = NonNullable<NonNullable<Configuration["system"]>["loggerOptions"]>;

const forMsal: MsalLoggerOptions = {
  loggerCallback: (level: LogLevel, message: string, containsPii: boolean) =>
    void [level === LogLevel.Info, message, containsPii],
  logLevel: LogLevel.Verbose,
  piiLoggingEnabled: false,
};

// Options made for either side are options for the other.
const forUs: LoggerOptions = forMsal;
const back: MsalLoggerOptions = forUs;

// msal's logger is one of ours, so a persistence written for the original is one, too.
export function withMsalLogger(persistence: IPersistence): IPersistence {
  const logger = new Logger(forMsal, "program", "1.0.0");
  return Object.assign(persistence, { getLogger: () => logger });
}

export async function use(): Promise<PublicClientApplication> {
  const persistence = await PersistenceCreator.createPersistence({
    cachePath: "cache.json",
    loggerOptions: forMsal,
  });
  const plugin = new PersistenceCachePlugin(withMsalLogger(persistence), { retryNumber: 1, retryDelay: 1 });
  const cachePlugin: ICachePlugin = plugin;
  const nativeBrokerPlugin: INativeBrokerPlugin = new NativeBrokerPlugin();
  await FilePersistence.create("cache.json", forMsal);
  return new PublicClientApplication({
    auth: { clientId: "id" },
    cache: { cachePlugin },
    broker: { nativeBrokerPlugin },
    system: { loggerOptions: back },
  });
}

// A context of msal's is one for us, and a plugin of ours wraps one of msal's.
export async function wrap(plugin: PersistenceCachePlugin, context: TokenCacheContext): Promise<void> {
  const memory: ISerializableTokenCache = context.tokenCache;
  memory.deserialize("{}");
  await plugin.beforeCacheAccess(context);
  await plugin.afterCacheAccess(context);
}
