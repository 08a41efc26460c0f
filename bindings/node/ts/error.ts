// The one error type of the package. It owns the `errorCode` strings that programs already compare with.
import type { PersistenceErrorCode } from "./error-codes";
import { setName } from "./error-name";

/** The mark of an error of this package, in whichever copy of it the error was made. */
const BRAND: unique symbol = Symbol.for("tokenkeep.PersistenceError") as never;

/** The optional members of an error. */
export interface PersistenceErrorOptions {
  /** The error that caused this one. */
  cause?: unknown;
  /** A code finer than `errorCode`: the errno name of a failed system call, or the kind of failure. */
  code?: string;
}

/**
 * A failure to keep, read or lock a token cache. No message ever holds content of the cache.
 *
 * ```js
 * try {
 *   await persistence.load();
 * } catch (error) {
 *   if (isPersistenceError(error) && error.code === "store_locked") console.log("Unlock your keyring, then try again");
 *   else throw error;
 * }
 * ```
 */
export class PersistenceError extends Error {
  /** Which family of failure this is; for a failed system call its errno name, such as `EACCES`. */
  errorCode: string;
  /** The message without the code in front. */
  errorMessage: string;
  /** Why it failed, finer than `errorCode`; absent where unknown. */
  declare code?: PersistenceErrorCode;
  /** The error that caused this one. */
  declare cause?: unknown;

  constructor(errorCode: string, errorMessage: string, options: PersistenceErrorOptions = {}) {
    super(errorMessage ? `${errorCode}: ${errorMessage}` : errorCode);
    setName(this, "PersistenceError");
    this.errorCode = errorCode;
    this.errorMessage = errorMessage;
    if (options.code !== undefined) {
      this.code = options.code as PersistenceErrorCode;
    }
    Object.defineProperty(this, BRAND, { value: true });
    if (options.cause !== undefined) {
      // As the language does it: there, but not printed twice.
      Object.defineProperty(this, "cause", { value: options.cause, configurable: true, writable: true });
    }
  }

  /**
   * The place of this error in the documentation, such as `docs/errors.md#store_locked`: what happened, why, and what to do.
   *
   * ```js
   * console.error(`${error.message} (${error.help})`);
   * ```
   */
  get help(): string {
    const { code = "", cause } = this;
    return `docs/errors.md#${/^[a-z]/.test(code) ? code : (kindOf(cause) ?? "failed-system-calls")}`;
  }

  /** A failed file-system call; `errorCode` is its errno name. */
  static createFileSystemError(
    errorCode: string,
    errorMessage: string,
    options?: PersistenceErrorOptions,
  ): PersistenceError {
    return new PersistenceError(errorCode, errorMessage, { code: errorCode, ...options });
  }

  /** The Linux Secret Service failed, is locked, or cannot be reached. */
  static createLibSecretError(errorMessage: string, options?: PersistenceErrorOptions): PersistenceError {
    return new PersistenceError("GnomeKeyringError", errorMessage, options);
  }

  /** The macOS Keychain failed, is locked, or refused access. */
  static createKeychainPersistenceError(
    errorMessage: string,
    options?: PersistenceErrorOptions,
  ): PersistenceError {
    return new PersistenceError("KeychainError", errorMessage, options);
  }

  /** Windows could not encrypt or decrypt the file. */
  static createFilePersistenceWithDPAPIError(
    errorMessage: string,
    options?: PersistenceErrorOptions,
  ): PersistenceError {
    return new PersistenceError("DPAPIEncryptedFileError", errorMessage, options);
  }

  /** The lock between processes could not be taken or released. */
  static createCrossPlatformLockError(
    errorMessage: string,
    options?: PersistenceErrorOptions,
  ): PersistenceError {
    return new PersistenceError("CrossPlatformLockError", errorMessage, options);
  }

  /** The cache as a whole does not work: verification failed, or its content is of no use. */
  static createCachePersistenceError(
    errorMessage: string,
    options?: PersistenceErrorOptions,
  ): PersistenceError {
    return new PersistenceError("CachePersistenceError", errorMessage, options);
  }

  /** This platform has no such store, or this build does not include it. */
  static createNotSupportedError(errorMessage: string, options?: PersistenceErrorOptions): PersistenceError {
    return new PersistenceError("NotSupportedError", errorMessage, options);
  }

  /** A store was chosen but did not pass verification. */
  static createPersistenceNotVerifiedError(
    errorMessage: string,
    options?: PersistenceErrorOptions,
  ): PersistenceError {
    return new PersistenceError("PersistenceNotVerifiedError", errorMessage, options);
  }

  /** The configuration lacks something the platform's store needs. */
  static createPersistenceNotValidatedError(
    errorMessage: string,
    options?: PersistenceErrorOptions,
  ): PersistenceError {
    return new PersistenceError("PersistenceNotValidatedError", errorMessage, options);
  }
}

/**
 * Whether an error is a {@link PersistenceError}. Also true for one of another copy of this package in the same process,
 * such as the one that a dependency brought, of whose class `instanceof` knows nothing.
 *
 * ```js
 * catch (error) {
 *   if (isPersistenceError(error)) console.error(error.code, error.errorMessage);
 * }
 * ```
 */
export function isPersistenceError(error: unknown): error is PersistenceError {
  try {
    return typeof error === "object" && error !== null && (error as { [BRAND]?: unknown })[BRAND] === true;
  } catch {
    // A program may throw an object that cannot be read.
    return false;
  }
}

/** @internal The name of what a program threw, for a log: its message may quote content. */
export function nameOf(error: unknown): string {
  return textOf(error, "name") ?? typeof error;
}

/** @internal A property of what a program threw, if it is a text and can be read. */
export function textOf(error: unknown, property: "name" | "code"): string | undefined {
  try {
    const value: unknown = (error as Record<string, unknown> | null | undefined)?.[property];
    return typeof value === "string" && value !== "" ? value : undefined;
  } catch {
    return undefined;
  }
}

/** @internal The error where what is stored is no token cache. Never with the parser's error, which quotes what it read. */
export function damagedError(what: string): PersistenceError {
  const remedy = "Restore it from a copy, or sign in again after removing it";
  return new PersistenceError("DamagedError", `${what}. ${remedy}`, { code: "damaged" });
}

/** The core's code for a failure, of which `code` may be the name of the error number. */
function kindOf(cause: unknown): string | undefined {
  const kind = (cause as { kind?: unknown } | null | undefined)?.kind;
  return typeof kind === "string" ? kind : undefined;
}
