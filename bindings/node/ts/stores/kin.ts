// How a plugin of one copy of this package uses a persistence of another copy, of which `instanceof` knows nothing. The symbol
// carries the version of this form, which never changes: another form gets another symbol.
import type { Cache } from "../handle/cache";
import type { Lock } from "../handle/lock";
import { VERSION } from "../version";

/** The method by which a persistence of any copy is known. */
export const KIN: unique symbol = Symbol.for("tokenkeep.persistence.1") as never;

export interface Kin {
  /** The version of the package that the persistence is of. */
  readonly version: string;
  /** The native cache, where no method was replaced, so that each may be bypassed. */
  native(): Cache | undefined;
  /** The lock that a write takes, which may be more than the one beside its path. */
  lock(): KinLock;
  /** What is kept, where that is in memory. */
  readonly memory?: Memory;
  /** The absolute path. */
  place(): string;
}

/** A lock of whichever version: its own copy knows what the numbers of its holds mean. */
export type KinLock = Pick<Lock, "acquire" | "pin" | "release" | "under">;

/** A persistence of any copy of this package as its own copy sees it; `undefined` for a program's own. */
export function kinOf(persistence: object): Kin | undefined {
  const { [KIN]: kin } = persistence as { [KIN]?: unknown };
  return typeof kin === "function" ? (kin.call(persistence) as Kin) : undefined;
}

/** The native cache of a persistence of this very version, if its methods may be bypassed. */
export function nativeOf(persistence: object): Cache | undefined {
  const kin = kinOf(persistence);
  return kin?.version === VERSION ? kin.native() : undefined;
}

/** What a cache in memory is. */
export interface Memory {
  readonly lock: Lock;
  content: string | null;
  /** When it changed last: later than any look before it. */
  modified: number;
  /** Called after each change. */
  readonly listeners: Set<() => void>;
}
