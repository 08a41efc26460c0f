// A ring of keys, and keys as text.
import { StoreError } from "../store-error";

/** The keys at one moment. */
export interface RecordKeys {
  /** Seals. */
  readonly sealing: Uint8Array;
  /** Open. */
  readonly all: readonly Uint8Array[];
}

/** What a ring may keep beside the records: one small text, replaced only if it has not changed since it was read. */
export interface KeyShelf {
  /** The text, and its revision; both null where there is none. */
  load(): Promise<{
    /** The text that was saved last. */
    readonly text: string | null;
    /** The argument of the `save` that replaces it. */
    readonly revision: Uint8Array | null;
  }>;
  /** False if another writer was first. */
  save(text: string, revision: Uint8Array | null): Promise<boolean>;
}

/** A source of keys. */
export interface KeyRing {
  /** The keys for now. */
  current(shelf: KeyShelf): RecordKeys | Promise<RecordKeys>;
  /** Looks at the source again, because a record names a key that is not in the ring; true if the keys may have changed. */
  reload(shelf: KeyShelf): boolean | Promise<boolean>;
}

export function ringOf(given: readonly (Uint8Array | string)[], source: string): KeyRing {
  const all = given.map((key) => keyOf(key, source));
  const [sealing] = all;
  if (sealing === undefined) {
    throw new StoreError(
      "missing_key",
      `There is no key in ${source}. Put one there: openssl rand -base64 32 makes one`,
    );
  }
  const now = { sealing, all };
  return { current: () => now, reload: () => false };
}

/** The keys in a text, separated by commas or lines; `#` begins a comment. */
export function keysIn(text: string, source: string): Uint8Array[] {
  const words = text
    .split(/\r?\n/)
    .flatMap((line) => line.replace(/#.*/, "").split(","))
    .map((word) => word.trim())
    .filter((word) => word !== "");
  if (words.length === 0) {
    throw new StoreError(
      "missing_key",
      `There is no key in ${source}. Put one there: openssl rand -base64 32 makes one`,
    );
  }
  return words.map((word) => keyOf(word, source));
}

function keyOf(key: Uint8Array | string, source: string): Buffer {
  const bytes =
    typeof key !== "string"
      ? Buffer.from(key)
      : /^[0-9a-f]{64}$/i.test(key)
        ? Buffer.from(key, "hex")
        : Buffer.from(key, "base64");
  // Node's decoder leaves out what it does not know.
  const known = typeof key !== "string" || /^[0-9a-f]{64}$/i.test(key) || /^[\w+/-]{43}=?$/.test(key);
  if (bytes.length !== 32 || !known) {
    throw new StoreError(
      "invalid_input",
      `A key in ${source} is not 32 bytes in base64, base64url or hexadecimal. Make one with: openssl rand -base64 32`,
    );
  }
  return bytes;
}
