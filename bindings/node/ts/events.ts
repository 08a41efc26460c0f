// Passes the core's events to a persistence's logger and to its listeners.

import { nameOf } from "./error";
import type { EventReply } from "./face";
import { callListener, type Logger, log } from "./logger";
import { camelCase, infoOf } from "./spelling";
import type { PersistenceInfo } from "./types";

/** Something worth telling a person although nothing failed. */
export type CacheEvent =
  | {
      /** The content was of no use: a copy stands at `copy`, and the cache starts empty. */
      readonly kind: "setAside";
      /** The event as a sentence for a log. */
      readonly message: string;
      /** The path of the cache. */
      readonly path: string;
      /** The path of the copy. */
      readonly copy: string;
    }
  | {
      /** The key of an encrypted cache is gone for good, as after a restart of the machine; the cache starts empty. */
      readonly kind: "lapsed";
      /** The event as a sentence for a log. */
      readonly message: string;
      /** The path of the cache. */
      readonly path: string;
    }
  | {
      /** A plaintext cache stood where an encrypted one belongs, and was encrypted in its place. */
      readonly kind: "encrypted";
      /** The event as a sentence for a log. */
      readonly message: string;
      /** The path of the cache. */
      readonly path: string;
    }
  | {
      /** The content left its store for a better protected one, because that one is there again or for the first time. */
      readonly kind: "moved";
      /** The event as a sentence for a log. */
      readonly message: string;
      /** The path of the cache. */
      readonly path: string;
      /** The store that the content left. */
      readonly from: PersistenceInfo;
      /** The store that has it now. */
      readonly to: PersistenceInfo;
    }
  | {
      /**
       * Accounts that a client no longer had were kept, because another access of the same client came in between and
       * may be the reason. If this was a sign-out, repeat it.
       */
      readonly kind: "signOutUndone";
      /** The event as a sentence for a log. */
      readonly message: string;
      /** The path of the cache. */
      readonly path: string;
      /** How many. */
      readonly accounts: number;
    }
  | {
      /** Something works, but worse than it should. */
      readonly kind: "warning";
      /** The event as a sentence for a log. */
      readonly message: string;
    }
  | {
      /** Progress that helps when reading a log. */
      readonly kind: "notice";
      /** The event as a sentence for a log. */
      readonly message: string;
    };

type EventListener = (event: CacheEvent) => void;

/** Weak: a listener belongs to a plugin, and ends with it. */
const listeners = new WeakMap<Logger, Set<WeakRef<Subscription>>>();

/** Until it is ended, or forgotten. */
export interface Subscription {
  readonly listener: EventListener;
}

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
  // Once each: a program that makes a plugin for every request gives them all the same listener.
  for (const listener of new Set(subscribed(logger).map((subscription) => subscription.listener))) {
    callListener(listener, event, (error) =>
      log(logger, "error", `An event listener failed: ${nameOf(error)}`),
    );
  }
}

/** Subscribes to the events of the persistence whose logger this is, as long as the plugin keeps what this gives. */
export function subscribe(logger: Logger, listener: EventListener): Subscription {
  const subscription = { listener };
  // Without those that have ended, so that their number is bounded.
  const known = subscribed(logger).map((one) => new WeakRef(one));
  listeners.set(logger, new Set([...known, new WeakRef(subscription)]));
  return subscription;
}

/** Ends a subscription. */
export function unsubscribe(logger: Logger, subscription: Subscription): void {
  const left = subscribed(logger).filter((one) => one !== subscription);
  listeners.set(logger, new Set(left.map((one) => new WeakRef(one))));
}

function subscribed(logger: Logger): Subscription[] {
  return [...(listeners.get(logger) ?? [])].flatMap((reference) => reference.deref() ?? []);
}
