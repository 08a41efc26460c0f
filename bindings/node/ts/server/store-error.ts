// The one error type of `tokenkeep/server`. It never holds a token, a key, or the text of a partition.
import { setName } from "../error-name";

/** Why a call of the store failed. Stable; docs/server.md says for each what to do. */
export type StoreErrorCode =
  | "addon_missing"
  | "addon_unusable"
  | "cluster_down"
  | "conflict"
  | "damaged"
  | "invalid_input"
  | "missing_key"
  | "no_account"
  | "no_partition"
  | "out_of_memory"
  | "read_only"
  | "timeout"
  | "too_large"
  | "unauthorized"
  | "unavailable"
  | "unknown_format"
  | "unsupported"
  | "wrong_client"
  | "wrong_partition";

/** The mark of an error of this package, in whichever copy of it the error was made. */
const BRAND: unique symbol = Symbol.for("tokenkeep.StoreError") as never;

/** Codes after which the same call may succeed a little later. */
const RETRYABLE: ReadonlySet<StoreErrorCode> = new Set([
  "cluster_down",
  "read_only",
  "timeout",
  "unavailable",
]);

/**
 * A failure of the token store of a server.
 *
 * ```js
 * try {
 *   await clients.silent({ homeAccountId, scopes });
 * } catch (error) {
 *   if (isStoreError(error) && error.code === "no_account") response.redirect("/login");
 *   else throw error;
 * }
 * ```
 */
export class StoreError extends Error {
  /** The reason. Stable. */
  readonly code: StoreErrorCode;
  /** Whether the same call may succeed a little later. */
  readonly retryable: boolean;
  /** The kind of the partition, such as `user`; absent where no partition is concerned. */
  declare partitionKind?: string;
  /** The error that caused this one. */
  declare cause?: unknown;

  constructor(
    code: StoreErrorCode,
    message: string,
    options: { cause?: unknown; partitionKind?: string } = {},
  ) {
    super(message);
    setName(this, "StoreError");
    this.code = code;
    this.retryable = RETRYABLE.has(code);
    Object.defineProperty(this, BRAND, { value: true });
    if (options.partitionKind !== undefined) {
      this.partitionKind = options.partitionKind;
    }
    if (options.cause !== undefined) {
      // As the language does it: there, but not printed twice.
      Object.defineProperty(this, "cause", { value: options.cause, configurable: true, writable: true });
    }
  }
}

/** Whether an error is a {@link StoreError}, also one of another copy of this package. */
export function isStoreError(error: unknown): error is StoreError {
  return typeof error === "object" && error !== null && (error as { [BRAND]?: unknown })[BRAND] === true;
}

/** The error of a partition's record: the same, with the kind of the partition. */
export function ofKind(error: unknown, partitionKind: string): unknown {
  if (isStoreError(error) && error.partitionKind === undefined) {
    error.partitionKind = partitionKind;
  }
  return error;
}
