// `createPersistence` on Linux in one native call, where it is asked for nothing unusual and every method that would do it
// step by step is the one of this package: nearly always. What happens is the same; it takes a third of the time, most of
// which is the first run of each function and each way to a thread and back.
//
// Whatever does not fit, or fails before anything was done, is left to the steps, whose errors are the ones to show.
import { nativeCache, notVerified } from "./base-persistence";
import { Environment } from "./environment";
import type { InformedPersistence } from "./fallback";
import { FilePersistence, tellOfReady } from "./file-persistence";
import { LibSecretPersistence, OVER, openItem } from "./lib-secret-persistence";
import { lockLimit } from "./lock-options";
import type { NativeItem, StartReply } from "./native/addon";
import type { Cache } from "./native/cache";
import { call } from "./native/channel";
import { NativeFailure, translate } from "./native/errors";
import type { IPersistenceConfiguration } from "./persistence";
import { createPlaintext, tellOfPlaintext } from "./plaintext";
import { promptLimit } from "./prompting";

/** What creation calls, step by step. */
function steps(): readonly unknown[] {
  const { prototype: file } = FilePersistence;
  const { prototype: item } = LibSecretPersistence;
  return [
    Environment.getEnvironmentPlatform,
    Environment.isLinuxPlatform,
    Environment.isMacPlatform,
    Environment.isWindowsPlatform,
    FilePersistence.create,
    // biome-ignore lint/complexity/useLiteralKeys: it is private
    file["createCacheFile"],
    file.createForPersistenceValidation,
    file.delete,
    file.getFilePath,
    file.getLogger,
    file.load,
    file.save,
    file.verifyPersistence,
    LibSecretPersistence.create,
    item.createForPersistenceValidation,
    item.delete,
    item.getFilePath,
    item.getLogger,
    item.load,
    item.save,
    item.verifyPersistence,
  ];
}

const SHIPPED = steps();

/** Begins the creation; `undefined` where it has to go step by step. */
export function createAtOnce(config: IPersistenceConfiguration): Promise<InformedPersistence> | undefined {
  const { serviceName, accountName, fallback, allowPrompt, promptTimeout } = config;
  const prompts = allowPrompt !== undefined || promptTimeout !== undefined;
  const falls = fallback !== undefined && !(Array.isArray(fallback) && fallback.length === 0);
  if (prompts || falls || !serviceName || !accountName || process.platform !== "linux") {
    return undefined;
  }
  const now = steps();
  for (let n = 0; n < SHIPPED.length; n += 1) {
    if (now[n] !== SHIPPED[n]) {
      return undefined;
    }
  }
  const prompt = promptLimit(config);
  let file: FilePersistence;
  let item: Cache;
  try {
    // The item's marker or, where the keyring does not work, the cache.
    file = new FilePersistence(config.cachePath as string, config.loggerOptions, config);
    item = openItem(file.getFilePath(), file.getLogger(), serviceName, accountName, prompt, []);
  } catch {
    // It fails again, and better.
    return undefined;
  }
  return finish(config, file, item, () =>
    LibSecretPersistence[OVER](file, item, serviceName, accountName, prompt),
  );
}

async function finish(
  config: IPersistenceConfiguration,
  file: FilePersistence,
  item: Cache,
  keyring: () => LibSecretPersistence,
): Promise<InformedPersistence> {
  const plaintext = Boolean(config.usePlaintextFileOnLinux);
  const answer = call<StartReply>((id) => (item.native as NativeItem).start(id, lockLimit(), plaintext));
  if (plaintext) {
    // While a thread looks at the keyring.
    nativeCache(file);
  }
  let reply: StartReply;
  try {
    reply = await answer;
  } catch (error) {
    // About the marker file; what is about the item is in the reply.
    throw translate(error);
  }
  const { refused, file: works } = reply;
  const listening = config.loggerOptions?.loggerCallback !== undefined;
  if (listening) {
    tellOfReady(file);
  }
  if (refused === undefined) {
    return keyring();
  }
  if (works && !listening) {
    return file;
  }
  const reason = notVerified(translate(new NativeFailure(refused), item.keystore));
  if (!plaintext) {
    throw reason;
  }
  if (!works) {
    return createPlaintext(config, reason);
  }
  tellOfPlaintext(file, reason);
  return file;
}
