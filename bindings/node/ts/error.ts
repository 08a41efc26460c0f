// The one error type of the package. It owns the `errorCode` strings that programs already compare with.

/** What an error can carry beside its code and message. */
export interface PersistenceErrorOptions {
  /** What led to this error. */
  cause?: unknown;
  /** A code finer than `errorCode`: the errno name of a failed system call, or the kind of failure. */
  code?: string;
}

/** A failure to keep, read or lock a token cache. No message ever holds content of the cache. */
export class PersistenceError extends Error {
  /** Which family of failure this is; for a failed system call its errno name, such as `EACCES`. */
  errorCode: string;
  /** The message without the code in front. */
  errorMessage: string;
  /** The errno name of a failed system call, or a finer kind such as `store_locked`; absent where unknown. */
  declare code?: string;
  /** What led to this error. */
  declare cause?: unknown;

  constructor(errorCode: string, errorMessage: string, options: PersistenceErrorOptions = {}) {
    super(errorMessage ? `${errorCode}: ${errorMessage}` : errorCode);
    this.name = "PersistenceError";
    this.errorCode = errorCode;
    this.errorMessage = errorMessage;
    if (options.code !== undefined) {
      this.code = options.code;
    }
    if (options.cause !== undefined) {
      // As the language does it: there, but not printed twice.
      Object.defineProperty(this, "cause", { value: options.cause, configurable: true, writable: true });
    }
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
