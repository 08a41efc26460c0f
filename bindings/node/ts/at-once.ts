// `createPersistence` on Linux in one native call, where it is asked for nothing unusual and every method that would do it
// step by step is the one of this package: nearly always. What happens is the same; it takes a third of the time, most of
// which is the first run of each function and each way to a thread and back.
//
// Whatever does not fit, or fails before anything was done, is left to the steps, whose errors are the ones to show.
import { nativeCache, notVerified } from "./base-persistence";
import { Environment } from "./environment";
import { reportTo } from "./events";
import type { Failure, NativeItem, StartReply } from "./face";
import { FilePersistence, tellOfReady } from "./file-persistence";
import type { Cache } from "./handle/cache";
import { NativeFailure, translate } from "./handle/errors";
import { call } from "./handle/link";
import { LibSecretPersistence, OVER, openItem } from "./lib-secret-persistence";
import { LOCK_LIMIT } from "./lock-options";
import { createPlaintext, tellOfPlaintext } from "./plaintext";
import { FOR_A_PERSON } from "./prompting";
import type { InformedPersistence, IPersistenceConfiguration } from "./types";

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
  const { cachePath, serviceName, accountName, durability, fallback } = config;
  // Whether nothing is asked for but the usual, in a form that cannot be refused.
  if (
    process.platform !== "linux" ||
    typeof cachePath !== "string" ||
    cachePath === "" ||
    cachePath.includes("\0") ||
    !serviceName ||
    !accountName ||
    (durability !== undefined && durability !== "synced" && durability !== "cached") ||
    (fallback !== undefined && !(Array.isArray(fallback) && fallback.length === 0)) ||
    config.allowPrompt !== undefined ||
    config.promptTimeout !== undefined
  ) {
    return undefined;
  }
  const now = steps();
  for (let n = 0; n < SHIPPED.length; n += 1) {
    if (now[n] !== SHIPPED[n]) {
      return undefined;
    }
  }
  const { DISPLAY, WAYLAND_DISPLAY } = process.env;
  // As `promptLimit` has it where nothing is chosen.
  const prompt = DISPLAY || WAYLAND_DISPLAY ? FOR_A_PERSON : 0;
  let item: Cache;
  try {
    // Nothing is told before the loop of events is back.
    item = openItem(
      cachePath,
      (event) => reportTo(file.getLogger())(event),
      serviceName,
      accountName,
      prompt,
      [],
    );
  } catch {
    // It fails again, and better.
    return undefined;
  }
  const plaintext = Boolean(config.usePlaintextFileOnLinux);
  const answer = call<StartReply>((id) => (item.native as NativeItem).start(id, LOCK_LIMIT, plaintext));
  // All that follows is done while a thread looks at the keyring. The file is the item's marker or, where the keyring does
  // not work, the cache.
  const file = new FilePersistence(cachePath, config.loggerOptions, config);
  if (plaintext) {
    nativeCache(file);
  }
  return finish(config, file, item, answer, () =>
    LibSecretPersistence[OVER](file, item, serviceName, accountName, prompt),
  );
}

async function finish(
  config: IPersistenceConfiguration,
  file: FilePersistence,
  item: Cache,
  answer: Promise<StartReply>,
  keyring: () => LibSecretPersistence,
): Promise<InformedPersistence> {
  let reply: StartReply;
  try {
    reply = await answer;
  } catch (error) {
    // About the marker file; what is about the item is in the reply.
    throw translate(error);
  }
  if (config.loggerOptions?.loggerCallback !== undefined) {
    tellOfReady(file);
  } else if (reply.file) {
    // Nobody wants to know why.
    return file;
  }
  return reply.refused === undefined ? keyring() : refused(config, file, item, reply, reply.refused);
}

/** What becomes of a keyring that does not work. */
function refused(
  config: IPersistenceConfiguration,
  file: FilePersistence,
  item: Cache,
  reply: StartReply,
  failure: Failure,
): FilePersistence | Promise<InformedPersistence> {
  const reason = notVerified(translate(new NativeFailure(failure), item.keystore));
  if (!config.usePlaintextFileOnLinux) {
    throw reason;
  }
  if (!reply.file) {
    // Whatever is wrong with the file as well, it is found again.
    return createPlaintext(config, reason);
  }
  tellOfPlaintext(file, reason);
  return file;
}
