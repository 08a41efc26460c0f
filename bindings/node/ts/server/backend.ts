// What a database has to do for the store. Each backend is one file in backends/.

/** The turn of a writer that has lost before: others wait until it has written or its time is over. */
export interface Turn {
  /** Names the writer. */
  readonly id: string;
  /** How long to reserve the record on a conflict, in milliseconds; 0 not to. */
  readonly reserve: number;
}

/** The outcome of a conditional write. */
export type Swapped =
  | {
      /** It was written. */
      readonly done: true;
    }
  | {
      /** Another writer was first. */
      readonly done: false;
      /** The record that is stored now. */
      readonly current: Uint8Array | null;
    }
  | {
      /** Nothing was compared. */
      readonly done: false;
      /** It is another writer's turn. */
      readonly busy: true;
    };

/** A condition of the database that an operator should know. */
export interface Finding {
  /** Stable, such as `evicts-sign-ins`. */
  readonly id: string;
  /** `error`: sign-ins are lost or will be; `warning`: they may be; `note`: worth knowing; `ok`: as it should be. */
  readonly level: "ok" | "note" | "warning" | "error";
  /** The condition and the remedy, for an operator. */
  readonly message: string;
}

/**
 * A database that holds records. Every method rejects where the database does not answer; none treats a failure as
 * "no record". A program may implement one of its own.
 */
export interface Backend {
  /** The record, or null. */
  read(name: string, signal: AbortSignal): Promise<Uint8Array | null>;
  /**
   * Writes, or deletes where `value` is null, if bytes 8 to 23 of the stored record are `expect`; null: if there is no
   * record. `ttl` is in milliseconds. A record `NAME:a:MORE` belongs to the record `NAME`: in the same step it is noted for
   * {@link Backend.remove}, for as long as it lives.
   */
  swap(
    name: string,
    expect: Uint8Array | null,
    value: Uint8Array | null,
    ttl: number,
    turn: Turn,
    signal: AbortSignal,
  ): Promise<Swapped>;
  /**
   * Deletes records, and those that belong to them; gives their number. What is deleted is what is there during the call: a
   * request that arrives late, because a client kept it, deletes no record that was written meanwhile.
   */
  remove(names: readonly string[], signal: AbortSignal): Promise<number>;
  /**
   * Where the database has a fair lock of its own: calls `change` with the current record under it. Used after a first
   * conflict in the place of turns.
   */
  exclusively?(
    name: string,
    change: (
      current: Uint8Array | null,
    ) => { readonly value: Uint8Array | null; readonly ttl: number } | undefined,
    signal: AbortSignal,
  ): Promise<void>;
  /** Takes or renews a lease of `ttl` milliseconds; false if another has it. */
  lease?(name: string, id: string, ttl: number, signal: AbortSignal): Promise<boolean>;
  /** Gives a lease back, if it is still this one's. */
  release?(name: string, id: string, signal: AbortSignal): Promise<void>;
  /** The names of all records that begin with `prefix`. */
  scan?(prefix: string): AsyncIterable<string>;
  /** What an operator should know about the database. */
  check?(): Promise<Finding[]>;
}
