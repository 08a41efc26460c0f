// What the store tells: events for the program, and `node:diagnostics_channel` for those who watch. No signal holds a token, a
// key or the text of a partition.
import { channel } from "node:diagnostics_channel";

/** Something that is worth telling although the call went on. */
export interface StoreEvent {
  /** The kind of event. Stable. */
  readonly type:
    | "breaker_closed"
    | "breaker_open"
    | "damaged_replaced"
    | "foreign_entries"
    | "not_stored"
    | "unknown_key"
    | "vanished";
  /** The kind of the partition. */
  readonly partitionKind?: string;
  /** The event as a sentence for a log. */
  readonly message: string;
  /** The failure behind it. */
  readonly cause?: unknown;
}

export type Tell = (event: StoreEvent) => void;

/** One operation, as it is published on the channel `tokenkeep:server`. */
export interface StoreTrace {
  /** The operation. */
  readonly operation: "read" | "write" | "lease" | "redeem";
  /** The kind of the partition, such as `user`. */
  readonly kind: string;
  /** `hit`, `absent`, `stored`, `deleted`, `unchanged`, `led`, `waited`, or the code of an error. */
  readonly outcome: string;
  /** Where a read was answered. */
  readonly level?: "l1" | "backend";
  /** The size of the record. */
  readonly bytes?: number;
  /** The conflicts that a write met. */
  readonly conflicts?: number;
  /** The time it took. */
  readonly milliseconds: number;
}

const traces = channel("tokenkeep:server");

/** Whether anything listens to traces. */
export function isWatched(): boolean {
  return traces.hasSubscribers;
}

export function trace(message: StoreTrace): void {
  if (traces.hasSubscribers) {
    traces.publish(message);
  }
}

/** The part of OpenTelemetry's `Meter` that is used here. */
export interface MeterLike {
  /** Makes a histogram. */
  createHistogram(
    name: string,
    options?: object,
  ): {
    /** Adds a measurement. */
    record(value: number, attributes?: Record<string, string>): void;
  };
  /** Makes a counter. */
  createCounter(
    name: string,
    options?: object,
  ): {
    /** Adds to the count. */
    add(value: number, attributes?: Record<string, string>): void;
  };
}

/**
 * Feeds the metrics of every store in this process to a meter of OpenTelemetry: `tokenkeep.store.duration`,
 * `.conflicts`, `.leases` and `.bytes`. Gives a function that ends it.
 *
 * ```js
 * const end = openTelemetry(metrics.getMeter("tokenkeep"));
 * ```
 */
export function openTelemetry(meter: MeterLike): () => void {
  const duration = meter.createHistogram("tokenkeep.store.duration", { unit: "ms" });
  const bytes = meter.createHistogram("tokenkeep.store.bytes", { unit: "By" });
  const conflicts = meter.createCounter("tokenkeep.store.conflicts");
  const leases = meter.createCounter("tokenkeep.store.leases");
  const listener = (message: unknown) => {
    const { operation, kind, outcome, milliseconds, ...more } = message as StoreTrace;
    duration.record(milliseconds, { operation, kind, outcome });
    if (more.bytes !== undefined) {
      bytes.record(more.bytes, { operation, kind });
    }
    if (more.conflicts) {
      conflicts.add(more.conflicts, { kind });
    }
    if (operation === "lease") {
      leases.add(1, { outcome, kind });
    }
  };
  traces.subscribe(listener);
  return () => {
    traces.unsubscribe(listener);
  };
}
