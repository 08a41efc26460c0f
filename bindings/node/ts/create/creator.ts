// Opens the first store that works, of those that a configuration names.
//
// The addon opens them in one call. A store of which a method was replaced, as programs and their tests do, is created and
// verified by its methods instead, when its turn comes.
import { type AbortOptions, orAborted } from "../abort";
import { requireDurability, requireText, wrongArgument } from "../arguments";
import { Environment } from "../environment";
import { isPersistenceError, PersistenceError } from "../error";
import { reportTo } from "../events";
import { Cache, type CacheDescription, type StoreDescription } from "../handle/cache";
import { lockLimit } from "../lock-options";
import { log } from "../logger";
import { membersOf } from "../members";
import { placeOf } from "../place";
import { promptLimit } from "../prompting";
import { notVerified } from "../stores/base";
import { FilePersistence, tellOfReady } from "../stores/file";
import type { InformedPersistence, IPersistenceConfiguration } from "../types";
import { type Candidate, fallbackCandidate, partitionOf, platformCandidate } from "./candidates";

/** Makes the persistence that fits the platform. */
// biome-ignore lint/complexity/noStaticOnlyClass: the public name and shape programs already use
export class PersistenceCreator {
  /**
   * The platform's protected store, verified: Windows a file encrypted by the system, macOS the Keychain, Linux the
   * Secret Service. Where that does not work, the first of `fallback` that does; on Linux with `usePlaintextFileOnLinux`
   * at last a plaintext file. Nothing else is ever chosen. A choice that protects less is logged as a warning, and a
   * plaintext file also told by `process.emitWarning`; `info()` of the persistence tells the rest.
   *
   * @throws PersistenceError `PersistenceNotValidatedError` when the configuration lacks something,
   * `ERR_INVALID_ARG_TYPE` for a fallback that is none, `NotSupportedError` on a platform without a store and where the
   * addon is missing, `CachePersistenceError` when verification fails. Where fallbacks were given and all fail, its message
   * lists each store with its failure and what to do about it, its `cause` is an `AggregateError` of them, and its `code`
   * that of the platform's store. The reason of `signal`, where that is aborted: it ends the waiting, for a person or for a
   * keystore that does not answer.
   */
  static async createPersistence(
    config: IPersistenceConfiguration,
    options: AbortOptions = {},
  ): Promise<InformedPersistence> {
    return orAborted(options.signal, () => create(config));
  }
}

async function create(given: IPersistenceConfiguration): Promise<InformedPersistence> {
  if (given === null || typeof given !== "object") {
    const { message } = wrongArgument("config", "an object", given);
    throw PersistenceError.createPersistenceNotValidatedError(message);
  }
  const config = membersOf(given);
  const { fallback = [], durability } = config;
  if (!Array.isArray(fallback)) {
    throw wrongArgument("fallback", "an array of fallbacks", fallback);
  }
  if (durability !== undefined) {
    requireDurability(durability);
  }
  const fallbacks = fallback.map((one) => fallbackCandidate(one, config));
  const listed = fallbacks.length > 0;
  if (Environment.isLinuxPlatform() && config.usePlaintextFileOnLinux) {
    fallbacks.push(fallbackCandidate({ type: "plaintextFile" }, config));
  }
  const creation = new Creation(config, listed);
  try {
    fallbacks.unshift(platformCandidate(config, fallback));
  } catch (error) {
    // A platform without a store may have fallbacks; a configuration that lacks something is for the program to mend.
    if (!listed || (error as PersistenceError).errorCode !== "NotSupportedError") {
      throw error;
    }
    creation.failed({ store: "this platform's store", error, prepared: false });
  }
  return creation.firstOf(fallbacks);
}

/** A store that was tried in vain, and whether its file could be prepared. */
interface Attempt {
  readonly store: string;
  readonly error: unknown;
  readonly prepared: boolean;
}

class Creation {
  private readonly attempts: Attempt[] = [];

  /** @param listed Whether `fallback` names any store. */
  constructor(
    private readonly config: IPersistenceConfiguration,
    private readonly listed: boolean,
  ) {}

  failed(attempt: Attempt): void {
    this.attempts.push(attempt);
  }

  /** The first candidate that works. */
  async firstOf(candidates: readonly Candidate[]): Promise<InformedPersistence> {
    for (let next = 0; next < candidates.length; ) {
      const rest = candidates.slice(next);
      const replaced = rest.findIndex((candidate) => !candidate.native());
      const together = replaced === -1 ? rest.length : replaced;
      const found =
        together > 0
          ? await this.openNatively(rest.slice(0, together), rest.slice(together))
          : await this.createByMethods(rest[0] as Candidate);
      if (found !== undefined) {
        return found;
      }
      next += Math.max(together, 1);
    }
    throw this.nothingWorks();
  }

  /** Lets the addon open the first of `candidates` that works; it imports from `later` ones as well. */
  private async openNatively(
    candidates: readonly Candidate[],
    later: readonly Candidate[],
  ): Promise<InformedPersistence | undefined> {
    const { cachePath, loggerOptions } = this.config;
    const path = cachePath === undefined ? requireText("cachePath", cachePath) : cachePath;
    const file = new FilePersistence(path, loggerOptions, this.config);
    // Nothing is told before the event loop is back.
    const cache = new Cache(this.describe(placeOf(file), candidates, later), (event) =>
      reportTo(file.getLogger())(event),
    );
    const { store, attempts } = await cache.open({ create: true, verify: true }, lockLimit());
    if (store !== undefined || attempts.some(({ prepared }) => prepared)) {
      tellOfReady(file);
    }
    for (const { store, prepared, error } of attempts) {
      const { store: name } = candidates[store] as Candidate;
      this.failed({ store: name, prepared, error: prepared ? notVerified(error) : error });
    }
    const chosen = candidates[store ?? -1];
    return chosen && this.chosen(chosen, chosen.over(file, cache));
  }

  private describe(
    path: string,
    candidates: readonly Candidate[],
    later: readonly Candidate[],
  ): CacheDescription {
    const { serviceName, accountName, durability } = this.config;
    return {
      path,
      serviceName,
      accountName,
      partition: partitionOf(this.config),
      promptLimit: promptLimit(this.config),
      durability: durability ?? "synced",
      stores: candidates.map(({ description }) => description) as [StoreDescription, ...StoreDescription[]],
      importKeys: later.flatMap(({ description: { key } }) => (key === undefined ? [] : [key])),
      importPlaintext: later.some(({ description: { kind } }) => kind === "plaintext-file"),
    };
  }

  private async createByMethods(candidate: Candidate): Promise<InformedPersistence | undefined> {
    const { store } = candidate;
    const alone = !this.listed && this.attempts.length === 0;
    let persistence: InformedPersistence | undefined;
    try {
      persistence = await candidate.create();
      // The original does not look at what its first store answers.
      if (!(await persistence.verifyPersistence()) && !alone) {
        throw PersistenceError.createPersistenceNotVerifiedError("Persistence could not be verified");
      }
    } catch (error) {
      const prepared = persistence !== undefined;
      if (isAddonMissing(error) || (alone && !prepared)) {
        throw error;
      }
      this.failed({ store, error, prepared });
      return undefined;
    }
    return this.chosen(candidate, persistence);
  }

  private chosen(candidate: Candidate, persistence: InformedPersistence): InformedPersistence {
    const { attempts } = this;
    if (attempts.length === 0) {
      return persistence;
    }
    const { store, weaker, plaintext } = candidate;
    const path = persistence.getFilePath();
    const text = this.listed
      ? `The cache is kept in ${store} (${path}), because ${list(attempts)}`
      : `Tokens are kept unencrypted in ${path}, because the keyring does not work: ${attempts[0]?.error}`;
    log(persistence.getLogger(), weaker ? "warning" : "info", text);
    if (plaintext) {
      warnOfPlaintext(path);
    }
    return persistence;
  }

  private nothingWorks(): unknown {
    const { attempts, listed } = this;
    if (!listed) {
      // Where the place itself could not be prepared, that is what a program has to hear of.
      return orElsewhere((attempts.find(({ prepared }) => !prepared) ?? attempts.at(-1))?.error);
    }
    const errors = attempts.map(({ error }) => error);
    const cause = new AggregateError(errors, "Each store's own error, in the order they were tried");
    const { code } = (errors[0] ?? {}) as { code?: string };
    return PersistenceError.createCachePersistenceError(
      `No store for the cache works: ${list(attempts)}`,
      code === undefined ? { cause } : { cause, code },
    );
  }
}

const AWAY = new Set<unknown>(["store_unavailable", "store_locked", "store_timeout"]);

/** The error that a keyring is out of reach, with the options that allow another store. */
function orElsewhere(error: unknown): unknown {
  if (!isPersistenceError(error) || !AWAY.has(error.code)) {
    return error;
  }
  const options =
    'usePlaintextFileOnLinux: true, or fallback: [{ type: "encryptedFile", key: { type: "keyFile", path: "..." } }]';
  return PersistenceError.createCachePersistenceError(
    `${error.errorMessage}; or allow another store with ${options}`,
    { cause: error.cause, code: error.code as string },
  );
}

let warned = false;

/** Tells a person, once a process, that tokens are not encrypted. */
function warnOfPlaintext(path: string): void {
  if (!warned) {
    warned = true;
    process.emitWarning(`Sign-in tokens are kept unencrypted in ${path}, because no keyring works`, {
      type: "SecurityWarning",
      code: "TOKENKEEP_PLAINTEXT",
    });
  }
}

/** A missing addon is for the installation to mend, and no reason to choose another store. */
function isAddonMissing(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return isPersistenceError(error) && (code === "addon_missing" || code === "addon_unusable");
}

function list(attempts: readonly Attempt[]): string {
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
