// The record, by the addon: partitions, sealing, opening, merging. docs/format.md has the bytes.
import { isPersistenceError } from "../error";
import type { Addon, NativePartition, SurveyReply } from "../face";
import { loadAddon } from "../handle/locate";
import { StoreError, type StoreErrorCode } from "./store-error";

let addon: Addon | undefined;

/** The addon, found at the first use: importing `tokenkeep/server` loads nothing. */
function native(): Addon {
  if (addon === undefined) {
    try {
      addon = loadAddon();
    } catch (error) {
      if (isPersistenceError(error)) {
        throw new StoreError(error.code as StoreErrorCode, error.errorMessage, { cause: error });
      }
      throw error;
    }
  }
  return addon;
}

/** Runs a call of the addon, and makes a `StoreError` of its failure. */
function ask<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: string };
    if (error instanceof StoreError || typeof code !== "string" || !KNOWN.has(code)) {
      throw error;
    }
    throw new StoreError(code as StoreErrorCode, message ?? code);
  }
}

const KNOWN: ReadonlySet<string> = new Set(["damaged", "invalid_input", "missing_key", "unknown_format"]);

/** Whose tokens a record holds. */
export interface Partition {
  /** `user`, `obo`, `app`, `key`, or a word of the program's own. */
  readonly kind: string;
  /** The name of its record. */
  readonly name: string;
  readonly native: NativePartition;
}

export function partition(prefix: string, kind: string, text: string, other?: string): Partition {
  if (typeof text !== "string" || text === "" || other === "") {
    throw new StoreError(
      "no_partition",
      `The tokens of this ${kind} have no place: its id is ${text === "" ? "empty" : `of type ${typeof text}`}. ` +
        "Give the home account id of the signed-in user; nothing was read or written",
      { partitionKind: kind },
    );
  }
  const made = ask(() => new (native().Partition)(prefix, kind, text, other));
  return { kind, name: made.recordName(), native: made };
}

/** The record of the person whose call this one is, with which it is erased: the part of the name before `:a:`. */
export function groupOf(name: string): string | undefined {
  const at = name.indexOf("}:a:");
  return at < 0 ? undefined : name.slice(0, at + 1);
}

/** The part of a record that is in plaintext. */
export interface Header {
  readonly revision: Buffer;
  /** Hexadecimal. */
  readonly keyId: string;
  /** In milliseconds since 1970. */
  readonly written: number;
  readonly expires: number;
  readonly kind: string;
}

/** The length of a record without content. */
const SHORTEST = 76;
const KINDS: Readonly<Record<number, string>> = { 1: "user", 2: "obo", 3: "app", 4: "key", 255: "own" };

/** The revision of a record: what a write names that replaces it. Bytes that are no record have none that any write names. */
export function revisionOf(record: Uint8Array): Buffer {
  return Buffer.from(record.buffer, record.byteOffset + 8, Math.max(0, Math.min(record.length - 8, 16)));
}

/** The header, where the bytes are long enough to be a record. */
export function headerOf(record: Uint8Array): Header | undefined {
  if (record.length < SHORTEST) {
    return undefined;
  }
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.length);
  return {
    revision: revisionOf(record),
    keyId: bytes.toString("hex", 24, 40),
    written: Number(bytes.readBigUInt64BE(40)),
    expires: Number(bytes.readBigUInt64BE(48)),
    kind: KINDS[bytes[7] as number] ?? "unknown",
  };
}

export function seal(
  place: Partition,
  key: Uint8Array,
  content: string,
  written: number,
  expires: number,
): Buffer {
  return Buffer.from(ask(() => place.native.seal(key, content, written, expires)));
}

export function open(place: Partition, keys: readonly Uint8Array[], record: Uint8Array): string {
  return ask(() => place.native.open(keys, record));
}

export function openNamed(name: string, keys: readonly Uint8Array[], record: Uint8Array): string {
  return ask(() => native().openRecord(name, keys, record));
}

export function reseal(
  name: string,
  keys: readonly Uint8Array[],
  key: Uint8Array,
  record: Uint8Array,
): Buffer {
  return Buffer.from(ask(() => native().resealRecord(name, keys, key, record)));
}

export function survey(place: Partition, content: string, now: number): SurveyReply {
  return ask(() => place.native.survey(content, now));
}

export function merge(held: string | null, base: string | null, ours: string, theirs: string | null) {
  return ask(() => native().mergeCaches(held, base, ours, theirs));
}

export function keyIdOf(key: Uint8Array): string {
  return Buffer.from(ask(() => native().recordKeyId(key))).toString("hex");
}
