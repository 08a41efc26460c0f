// How long to wait for the lock between processes.
import { requireTimes } from "./arguments";

/**
 * Retry options, whose product is the longest wait: `retryNumber` times `retryDelay` milliseconds. The lock wakes its
 * waiters itself, so nothing is actually retried. A value that is missing, zero or not a positive number means its
 * default.
 */
export type CrossPlatformLockOptions = {
  /** Default 500. */
  retryNumber: number;
  /** Milliseconds. Default 100. */
  retryDelay: number;
};

/** How long to wait for the lock between processes. */
export interface LockOptions extends Partial<CrossPlatformLockOptions> {
  /**
   * The longest wait in milliseconds; 0 waits for nothing. Default 50,000. It has precedence over `retryNumber` and
   * `retryDelay`, which are the older way to say the same.
   */
  timeout?: number;
}

const RETRY_NUMBER = 500;
const RETRY_DELAY = 100;
/** The longest wait where nothing is chosen, in milliseconds. */
export const LOCK_LIMIT = RETRY_NUMBER * RETRY_DELAY;
// About twelve days: beyond it a timer's arithmetic, not a person's patience, would be the limit.
const LONGEST = 2 ** 30;

/** The longest wait in milliseconds; 50 seconds unless the options say otherwise. */
export function lockLimit(options?: LockOptions): number {
  if (options === undefined) {
    return LOCK_LIMIT;
  }
  if (options.timeout !== undefined) {
    requireTimes(["timeout"], options);
    return Math.min(Math.ceil(options.timeout), LONGEST);
  }
  const limit = positive(options.retryNumber, RETRY_NUMBER) * positive(options.retryDelay, RETRY_DELAY);
  return Math.min(Math.ceil(limit), LONGEST);
}

function positive(value: unknown, otherwise: number): number {
  return typeof value === "number" && value > 0 ? value : otherwise;
}
