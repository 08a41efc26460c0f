// Turns failures that Rust reports into the errors programs know.
import { getSystemErrorName } from "node:util";
import { PersistenceError } from "../error";
import { setName } from "../error-name";
import type { Failure } from "../face";

/** The sentence every lock time-out has always begun with; programs match on it. */
const LOCK_SENTENCE = "Not able to acquire lock. Exceeded amount of retries set in options";

/** The errors a keystore of this family is reported under. */
export type KeystoreErrors = (message: string, options: { code: string; cause: unknown }) => PersistenceError;

/** The core's error, kept as the `cause` of the error that a program gets. */
export class NativeFailure extends Error {
  readonly kind: string;
  readonly errno: string | undefined;
  readonly path: string | undefined;

  constructor(failure: Failure) {
    super(failure.message);
    setName(this, "NativeFailure");
    this.kind = failure.kind;
    this.errno = failure.osCode === undefined ? undefined : getSystemErrorName(-failure.osCode);
    this.path = failure.path;
  }
}

/** Whether an error came from Rust with this kind. */
export function isKind(error: unknown, kind: string): boolean {
  return error instanceof NativeFailure && error.kind === kind;
}

/** The error to show for `failure`; anything else passes through unchanged. */
export function translate(failure: unknown, keystore?: KeystoreErrors): unknown {
  if (!(failure instanceof NativeFailure)) {
    return failure;
  }
  const { kind, errno, message } = failure;
  const options = { code: errno ?? kind, cause: failure };
  if (kind === "busy") {
    return PersistenceError.createCrossPlatformLockError(`${LOCK_SENTENCE}: ${message}`, options);
  }
  if (isLockFile(failure.path)) {
    return PersistenceError.createCrossPlatformLockError(message, options);
  }
  if (keystore === dataProtectionErrors && KEY_KINDS.has(kind)) {
    return keystore(message, { code: kind, cause: failure });
  }
  if (keystore !== undefined && KEYSTORE_KINDS.has(kind)) {
    return keystore(message, options);
  }
  if (KEY_KINDS.has(kind)) {
    // A program acts on the missing key, not on the reason for it, which is the cause.
    return named(kind, message, { code: kind, cause: failure });
  }
  if (errno !== undefined) {
    return PersistenceError.createFileSystemError(errno, message, options);
  }
  switch (kind) {
    case "invalid_input":
      return PersistenceError.createFileSystemError("ERR_INVALID_ARG_VALUE", message, options);
    case "not_supported":
      return PersistenceError.createNotSupportedError(message, options);
    case "panic":
      return PersistenceError.createCachePersistenceError(`Internal error in tokenkeep: ${message}`, options);
    default:
      return named(kind, message, options);
  }
}

/** The errors of an encrypted file: those of the keystore that has its key are the keystore's, all others its own. */
export const keyErrors: KeystoreErrors = (message, options) =>
  options.code.startsWith("store_") || options.code === "ambiguous"
    ? PersistenceError.createLibSecretError(message, options)
    : named(options.code, message, options);

/** The errors of a file that Windows encrypts. */
export const dataProtectionErrors: KeystoreErrors = PersistenceError.createFilePersistenceWithDPAPIError;

function named(kind: string, message: string, options: { code: string; cause: unknown }): PersistenceError {
  return new PersistenceError(`${pascal(kind)}Error`, message, options);
}

const KEYSTORE_KINDS = new Set([
  "store_unavailable",
  "store_locked",
  "store_timeout",
  "store_failed",
  "ambiguous",
  "marker_occupied",
  "not_verified",
  "damaged",
]);

const KEY_KINDS = new Set(["missing_key", "wrong_key", "unknown_format"]);

function isLockFile(path: string | undefined): boolean {
  return path !== undefined && (path.endsWith(".tk-lock") || path.endsWith(".lockfile"));
}

function pascal(kind: string): string {
  return kind.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
