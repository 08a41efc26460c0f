// Passes the core's events to a persistence's logger and to its listeners.

import type { EventReply } from "./face";
import { callListener, type Logger, log } from "./logger";
import { camelCase, infoOf } from "./spelling";
import type { PersistenceInfo } from "./types";

/** Something worth telling a person although nothing failed. */
export type CacheEvent =
  | {
      /** The content was of no use: a copy stands at `copy`, and the cache starts empty. */
      readonly kind: "setAside";
      readonly message: string;
      readonly path: string;
      readonly copy: string;
    }
  | {
      /** The key of an encrypted cache is gone for good, as after a restart of the machine; the cache starts empty. */
      readonly kind: "lapsed";
      readonly message: string;
      readonly path: string;
    }
  | {
      /** A plaintext cache stood where an encrypted one belongs, and was encrypted in its place. */
      readonly kind: "encrypted";
      readonly message: string;
      readonly path: string;
    }
  | {
      /** The content left its store for a better protected one, because that one is there again or for the first time. */
      readonly kind: "moved";
      readonly message: string;
      readonly path: string;
      readonly from: PersistenceInfo;
      readonly to: PersistenceInfo;
    }
  | {
      /**
       * Accounts that a client no longer had were kept, because another access of the same client came in between and
       * may be the reason. If this was a sign-out, repeat it.
       */
      readonly kind: "signOutUndone";
      readonly message: string;
      readonly path: string;
      /** How many. */
      readonly accounts: number;
    }
  | {
      /** Something works, but worse than it should. */
      readonly kind: "warning";
      readonly message: string;
    }
  | {
      /** Progress that helps when reading a log. */
      readonly kind: "notice";
      readonly message: string;
    };

type EventListener = (event: CacheEvent) => void;

const listeners = new WeakMap<Logger, Set<EventListener>>();

/** Logs every event, and hands it to those who subscribed by the same logger. */
export function reportTo(logger: Logger): (event: EventReply) => void {
  return (event) => report(logger, eventOf(event));
}

function eventOf({ source: _, kind, from, to, ...rest }: EventReply): CacheEvent {
  const moved = from && to ? { from: infoOf(from), to: infoOf(to) } : {};
  return { kind: camelCase(kind), ...rest, ...moved } as CacheEvent;
}

/** Logs an event and hands it on. */
export function report(logger: Logger, event: CacheEvent): void {
  if (event.kind === "notice") {
    log(logger, "verbose", event.message);
  } else if (event.kind === "encrypted" || event.kind === "moved") {
    log(logger, "info", event.message);
  } else {
    log(logger, "warning", event.message);
  }
  for (const listener of listeners.get(logger) ?? []) {
    callListener(listener, event, (error) =>
      log(logger, "error", `An event listener failed: ${(error as Error | null)?.name ?? typeof error}`),
    );
  }
}

/** Subscribes to the events of the persistence whose logger this is. Gives the function that ends it. */
export function subscribe(logger: Logger, listener: EventListener): () => void {
  const known = listeners.get(logger) ?? new Set();
  listeners.set(logger, known);
  // A function of its own: two plugins may have been given the same listener.
  const own: EventListener = (event) => listener(event);
  known.add(own);
  return () => void known.delete(own);
}
