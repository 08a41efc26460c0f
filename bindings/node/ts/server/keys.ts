// Key rings: where the keys of the records come from.
import { builtin } from "../builtin";
import { fromEnvironment } from "./keys/environment";
import { fromFile } from "./keys/file";
import { type KeyRing, ringOf } from "./keys/ring";
import { type WrappedKeyOptions, wrapped } from "./keys/wrapped";

/** The sources of keys. */
export interface Keys {
  /**
   * The keys in an environment variable, separated by commas.
   *
   * @throws StoreError `missing_key` where the variable is not set, `invalid_input` where it holds something else than keys.
   */
  fromEnvironment(name: string): KeyRing;
  /**
   * The keys in a file, one a line; lines with `#` are comments. The file is looked at again every minute, and at once when a
   * record names an unknown key, as Kubernetes and Docker replace secrets in place.
   *
   * @throws StoreError like `fromEnvironment`.
   */
  fromFile(path: string): KeyRing;
  /** The program's own keys. */
  of(...given: readonly (Uint8Array | string)[]): KeyRing;
  /** A key that ends with this process, for tests. */
  random(): KeyRing;
  /** Keys that the store makes itself and keeps in the database, wrapped by a key service. */
  wrapped(options: WrappedKeyOptions): KeyRing;
}

/**
 * Where the keys come from. The first key of a ring seals, every key opens. A key has 32 random bytes, as text in base64,
 * base64url or hexadecimal: `openssl rand -base64 32` makes one. There is no default key.
 */
export const keys: Keys = {
  fromEnvironment,
  fromFile,
  of: (...given) => ringOf(given, "the keys of the program"),
  random: () => ringOf([builtin("node:crypto").randomBytes(32)], "a random key"),
  wrapped,
};
