// What went wrong, in the shape in which the addon tells it, so that `native/errors.ts` makes the same errors of both.
import type { Failure } from "../native/addon";

/** Thrown inside this implementation; goes over the channel as what it holds. */
export class Failed extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
    this.name = "Failed";
  }
}

export function failed(kind: string, message: string, path?: string): Failed {
  return new Failed({ kind, message, path });
}

/** A failed system call, as the failure of what was attempted. */
export function io(what: string, path: string, cause: unknown): Failed {
  if (cause instanceof Failed) {
    return cause;
  }
  const { errno, message } = cause as NodeJS.ErrnoException;
  const osCode = typeof errno === "number" ? -errno : undefined;
  return new Failed({ kind: "io", message: `${what} ${path}: ${message}`, osCode, path });
}

/** Any error as a failure; one that nobody expected is a fault of ours, as a panic is in the addon. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failed) {
    return error.failure;
  }
  const { errno, message } = (error ?? {}) as NodeJS.ErrnoException;
  return typeof errno === "number"
    ? { kind: "io", message, osCode: -errno }
    : { kind: "panic", message: String(message) };
}

/** The errno name of a failed system call, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | null)?.code;
}
