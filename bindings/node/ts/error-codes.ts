// The codes of errors. Written by `cargo xtask errors` from crates/tokenkeep/src/error/table.rs.

/**
 * Why an operation failed, in the finest terms: the `code` of a {@link PersistenceError}. Stable. docs/errors.md says for each
 * what to do. A failed system call has the name of its error number, such as `EACCES`; a wrong argument
 * `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`.
 */
export type PersistenceErrorCode =
  | "addon_missing"
  | "addon_unusable"
  | "ambiguous"
  | "busy"
  | "cancelled"
  | "closed"
  | "conflict"
  | "damaged"
  | "expired"
  | "internal"
  | "invalid_input"
  | "io"
  | "key_gone"
  | "marker_occupied"
  | "missing_key"
  | "not_supported"
  | "not_verified"
  | "panic"
  | "passphrase_failed"
  | "passphrase_timeout"
  | "permission_denied"
  | "storage_full"
  | "store_failed"
  | "store_locked"
  | "store_timeout"
  | "store_unavailable"
  | "truncated"
  | "unknown_format"
  | "unprotected"
  | "unsafe_file"
  | "wrong_key"
  | `E${string}`;
