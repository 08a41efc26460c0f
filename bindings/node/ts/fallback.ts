// What to try where the platform's own store does not work: in the order asked for, each verified, never unasked.
//
// The core has such a ladder too. This one goes through the classes and methods of this package, because programs and
// their tests replace those, and each must see its calls.
import { requireText, wrongArgument } from "./arguments";
import { EncryptedFilePersistence } from "./encrypted-file-persistence";
import { CheckedKey } from "./encryption-key";
import { isPersistenceError, PersistenceError } from "./error";
import { FilePersistence } from "./file-persistence";
import { partitionOf } from "./lib-secret-persistence";
import { MemoryPersistence } from "./stores/memory";
import type { EncryptionKey, Fallback, InformedPersistence, IPersistenceConfiguration } from "./types";

/** A store that was tried, by name, and why it is of no use. */
export interface Attempt {
  readonly store: string;
  readonly error: unknown;
}

/** A step of the ladder. */
interface Rung {
  readonly store: string;
  /** Whether it protects less than the platforms' own stores do. */
  readonly weaker: boolean;
  open(): Promise<InformedPersistence>;
}

/**
 * The steps that a configuration asks for.
 *
 * @throws PersistenceError `ERR_INVALID_ARG_TYPE` for what is no list of fallbacks, without anything secret.
 */
export function ladderOf(config: IPersistenceConfiguration): Rung[] {
  const { fallback = [] } = config;
  if (!Array.isArray(fallback)) {
    throw wrongArgument("fallback", "an array of fallbacks", fallback);
  }
  return fallback.map((one: Fallback) => rung(one, config));
}

/** The first step that works. Tells, where it is weaker than the platform's store, why it came to it. */
export async function climb(rungs: readonly Rung[], failed: Attempt): Promise<InformedPersistence> {
  const attempts = [failed];
  for (const { store, weaker, open } of rungs) {
    try {
      const persistence = await open();
      await verified(persistence);
      const text = `The cache is kept in ${store} (${persistence.getFilePath()}), because ${listed(attempts)}`;
      persistence.getLogger()[weaker ? "warning" : "info"](text, "");
      return persistence;
    } catch (error) {
      attempts.push({ store, error });
    }
  }
  throw nothingWorks(attempts);
}

/** The persistence, if it passes verification. */
export async function verified(persistence: InformedPersistence): Promise<InformedPersistence> {
  if (!(await persistence.verifyPersistence())) {
    throw PersistenceError.createPersistenceNotVerifiedError("Persistence could not be verified");
  }
  return persistence;
}

function rung(fallback: Fallback, config: IPersistenceConfiguration): Rung {
  const path = () => requireText("cachePath", config.cachePath);
  switch (fallback?.type) {
    case "encryptedFile":
      return encryptedFile(fallback.key, path, config);
    case "plaintextFile": {
      const open = () => FilePersistence.create(path(), config.loggerOptions, config);
      return { store: "a file that is not encrypted", weaker: true, open };
    }
    case "memory": {
      const open = () => MemoryPersistence.create(config.loggerOptions);
      return { store: "memory, until this process ends", weaker: true, open };
    }
    default: {
      const given = (fallback as { type?: unknown } | null | undefined)?.type;
      throw wrongArgument("fallback[].type", '"encryptedFile", "plaintextFile" or "memory"', given);
    }
  }
}

function encryptedFile(key: EncryptionKey, path: () => string, config: IPersistenceConfiguration): Rung {
  const { serviceName, accountName, loggerOptions, allowPrompt, promptTimeout, durability } = config;
  const checked = new CheckedKey(key, { allowPrompt, promptTimeout });
  if (checked.isItem(serviceName, accountName)) {
    throw wrongArgument("fallback[].key", "an item of its own, not the one of the cache", key);
  }
  const partition = serviceName && accountName ? partitionOf(serviceName, accountName) : undefined;
  const options = { partition, allowPrompt, promptTimeout, durability };
  const open = () => EncryptedFilePersistence.create(path(), key, loggerOptions, options);
  return { store: `an encrypted file, with ${checked}`, weaker: key.type !== "keystore", open };
}

function nothingWorks(attempts: readonly Attempt[]): PersistenceError {
  const errors = attempts.map(({ error }) => error);
  const cause = new AggregateError(errors, "Each store's own error, in the order they were tried");
  const { code } = (errors[0] ?? {}) as { code?: string };
  return PersistenceError.createCachePersistenceError(
    `No store for the cache works: ${listed(attempts)}`,
    code === undefined ? { cause } : { cause, code },
  );
}

function listed(attempts: readonly Attempt[]): string {
  return attempts.map(({ store, error }) => `${store}: ${sentenceOf(error)}`).join("; ");
}

/** What an error says, without the codes and prefixes that it collected on its way. */
function sentenceOf(error: unknown): string {
  const inner = (error as { cause?: unknown } | null)?.cause;
  if (isPersistenceError(inner)) {
    return sentenceOf(inner);
  }
  return isPersistenceError(error) ? error.errorMessage : String(error);
}
