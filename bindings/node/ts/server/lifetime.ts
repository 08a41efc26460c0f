// How long a record lives: as long as a client can use what is in it.
import type { SurveyReply } from "../face";
import { StoreError } from "./store-error";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** How long records live, in milliseconds. */
export interface Lifetimes {
  /** A record with a refresh token, from its last write on. Default: 90 days. 14 days for B2C, 24 hours for SPA tokens. */
  readonly refreshToken?: number;
  /** The longest life of any record. Default: 180 days. */
  readonly max?: number;
}

/** A token is of use for this long after its end to a client whose clock is late. */
const LATE = 5 * MINUTE;

/** When a record that holds this ends, in milliseconds since 1970. */
export function endOf(found: SurveyReply, kind: string, now: number, lifetimes: Lifetimes): number {
  const { refreshToken = 90 * DAY, max = 180 * DAY } = lifetimes;
  const known = kind === "user" || kind === "obo" || kind === "app";
  // A kind of the program's own need not hold tokens.
  const end = found.isRefreshable || !known ? now + refreshToken : (found.lastExpiry ?? now) + LATE;
  return Math.min(end, now + max);
}

export function checked(lifetimes: Lifetimes): Lifetimes {
  for (const [name, value] of Object.entries(lifetimes)) {
    if (value !== undefined && !(Number.isFinite(value) && value > 0)) {
      throw new StoreError(
        "invalid_input",
        `lifetime.${name} is a number of milliseconds above 0, not ${value}`,
      );
    }
  }
  return lifetimes;
}
