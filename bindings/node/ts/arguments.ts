// Checks at the edge: a wrong argument gets an error that names the argument, not a failure three layers down.
import { inspect, TextDecoder } from "node:util";
import { PersistenceError } from "./error";
import type { Durability } from "./types";

/** The error for an argument of the wrong type. The value itself is never shown: it may be a secret. */
export function wrongArgument(name: string, expected: string, actual: unknown): PersistenceError {
  return PersistenceError.createFileSystemError(
    "ERR_INVALID_ARG_TYPE",
    `The "${name}" argument must be ${expected}. Received ${describe(actual)}`,
  );
}

/** Requires a string that can be a path or a name: not empty, no NUL, which operating systems end strings at. */
export function requireText(name: string, value: unknown): string {
  if (typeof value !== "string") {
    throw wrongArgument(name, "a string", value);
  }
  if (value === "" || value.includes("\0")) {
    throw PersistenceError.createFileSystemError(
      "ERR_INVALID_ARG_VALUE",
      `The "${name}" argument must be a string that is not empty and holds no NUL. Received ${inspect(value)}`,
    );
  }
  return value;
}

const UTF_8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of bytes in UTF-8; `undefined` for others: a replaced byte would change a token. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return UTF_8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Requires a durability; `synced` where none is given. */
export function requireDurability(value: unknown): Durability {
  if (value === undefined || value === "synced" || value === "cached") {
    return value ?? "synced";
  }
  throw wrongArgument("durability", '"synced" or "cached"', value);
}

/** The longest that a timer of Node can wait. */
const LONGEST = 0x7fff_ffff;

/** Requires what is given of some times to be times, in milliseconds. */
export function requireTimes<Name extends string>(
  names: readonly Name[],
  options: { readonly [name in Name]?: unknown } | undefined,
): void {
  for (const name of names) {
    const value = options?.[name];
    if (value !== undefined && !(typeof value === "number" && value >= 0 && value <= LONGEST)) {
      throw wrongArgument(name, "a number of milliseconds", value);
    }
  }
}

/** Requires a rule for damage; `setAside` where none is given. */
export function requireDamageRule(value: unknown): "setAside" | "fail" {
  if (value === undefined || value === "setAside" || value === "fail") {
    return value ?? "setAside";
  }
  throw wrongArgument("onDamage", '"setAside" or "fail"', value);
}

/** Requires something whose bytes can be stored. */
export function requireContents(name: string, value: unknown): Uint8Array | string {
  if (typeof value === "string" || value instanceof Uint8Array) {
    return value;
  }
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  throw wrongArgument(name, "a string or a Uint8Array", value);
}

function describe(value: unknown): string {
  if (value === null || value === undefined) {
    return String(value);
  }
  const kind = typeof value;
  return kind === "object"
    ? `an instance of ${(value as object).constructor?.name ?? "Object"}`
    : `type ${kind}`;
}
