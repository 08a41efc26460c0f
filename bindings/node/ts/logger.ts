// A logger with the face of msal-common's, so that this package needs nothing of msal at run time or for its types.
import { debuglog } from "node:util";
import { VERSION } from "./version";

/** Severity of a message; the numbers are msal's. */
export const LogLevel = {
  /** A failure. */
  Error: 0,
  /** Something works, but worse than it should. */
  Warning: 1,
  /** A fact. */
  Info: 2,
  /** A step. */
  Verbose: 3,
  /** A detail. */
  Trace: 4,
} as const;

/** One of those numbers. */
export type LogLevel = (typeof LogLevel)[keyof typeof LogLevel];

/** The receiver of messages, and which messages it gets. The same form as msal's options. */
export interface LoggerOptions {
  /** Receives every message at or below `logLevel`; what it throws is ignored. */
  loggerCallback?: (level: number, message: string, containsPii: boolean) => void;
  /** Whether messages holding personal data are passed on. This package writes none. */
  piiLoggingEnabled?: boolean;
  /** 0 error, 1 warning, 2 info (the default), 3 verbose, 4 trace. */
  logLevel?: number;
  /** An id that msal-node adds to its messages. Not used by this package. */
  correlationId?: string;
}

/** The methods that a persistence's logger needs. msal-common's `Logger` has them. */
export interface Logger {
  /** Logs a failure. */
  error(message: string, correlationId: string): void;
  /** Logs a failure with personal data. */
  errorPii(message: string, correlationId: string): void;
  /** Logs a warning. */
  warning(message: string, correlationId: string): void;
  /** Logs a warning with personal data. */
  warningPii(message: string, correlationId: string): void;
  /** Logs a fact. */
  info(message: string, correlationId: string): void;
  /** Logs a fact with personal data. */
  infoPii(message: string, correlationId: string): void;
  /** Logs a step. */
  verbose(message: string, correlationId: string): void;
  /** Logs a step with personal data. */
  verbosePii(message: string, correlationId: string): void;
  /** Logs a detail. */
  trace(message: string, correlationId: string): void;
  /** Logs a detail with personal data. */
  tracePii(message: string, correlationId: string): void;
  /** Passes a message to the program's callback. */
  executeCallback(level: number, message: string, containsPii: boolean): void;
  /** Whether messages with personal data are passed on. */
  isPiiLoggingEnabled(): boolean;
  /** Returns a logger that names another package. */
  clone(packageName: string, packageVersion: string): Logger;
}

/** Logs over a logger that may be the program's own: one that throws must neither replace an error nor end the watching. */
export function log(logger: Logger, level: "error" | "warning" | "info" | "verbose", message: string): void {
  // There is nowhere left to say that it failed.
  callListener(
    (text: string) => logger[level](text, ""),
    message,
    () => {},
  );
}

/** Calls a listener of the program's, which may throw, or be asynchronous and reject; `failed` is told. */
export function callListener<T>(
  listener: (value: T) => unknown,
  value: T,
  failed: (error: unknown) => void,
): void {
  try {
    const ended: unknown = listener(value);
    if (typeof (ended as PromiseLike<unknown> | undefined)?.then === "function") {
      (ended as PromiseLike<unknown>).then(undefined, failed);
    }
  } catch (error) {
    failed(error);
  }
}

/** Writes to the standard error where the environment has `NODE_DEBUG=tokenkeep`, whatever logger a program has. */
const debug = debuglog("tokenkeep");

const LEVEL_NAMES = Object.keys(LogLevel);

/** The logger behind every persistence of this package. */
export class CallbackLogger implements Logger {
  private readonly callback: LoggerOptions["loggerCallback"];
  private readonly level: number;
  private readonly pii: boolean;

  constructor(
    options: LoggerOptions | undefined,
    private readonly packageName = "tokenkeep",
    private readonly packageVersion = VERSION,
  ) {
    this.callback = options?.loggerCallback;
    this.level = typeof options?.logLevel === "number" ? options.logLevel : LogLevel.Info;
    this.pii = options?.piiLoggingEnabled === true;
  }

  error(message: string, correlationId: string): void {
    this.log(LogLevel.Error, message, false, correlationId);
  }

  errorPii(message: string, correlationId: string): void {
    this.log(LogLevel.Error, message, true, correlationId);
  }

  warning(message: string, correlationId: string): void {
    this.log(LogLevel.Warning, message, false, correlationId);
  }

  warningPii(message: string, correlationId: string): void {
    this.log(LogLevel.Warning, message, true, correlationId);
  }

  info(message: string, correlationId: string): void {
    this.log(LogLevel.Info, message, false, correlationId);
  }

  infoPii(message: string, correlationId: string): void {
    this.log(LogLevel.Info, message, true, correlationId);
  }

  verbose(message: string, correlationId: string): void {
    this.log(LogLevel.Verbose, message, false, correlationId);
  }

  verbosePii(message: string, correlationId: string): void {
    this.log(LogLevel.Verbose, message, true, correlationId);
  }

  trace(message: string, correlationId: string): void {
    this.log(LogLevel.Trace, message, false, correlationId);
  }

  tracePii(message: string, correlationId: string): void {
    this.log(LogLevel.Trace, message, true, correlationId);
  }

  /** Hands a finished message to the callback. */
  executeCallback(level: number, message: string, containsPii: boolean): void {
    // A logger that fails must not fail a sign-in.
    callListener(
      (text: string) => this.callback?.(level, text, containsPii),
      message,
      () => {},
    );
  }

  isPiiLoggingEnabled(): boolean {
    return this.pii;
  }

  clone(packageName: string, packageVersion: string): Logger {
    const options = { loggerCallback: this.callback, logLevel: this.level, piiLoggingEnabled: this.pii };
    return new CallbackLogger(options, packageName, packageVersion);
  }

  private log(level: number, message: string, containsPii: boolean, correlationId = ""): void {
    const wanted = this.callback !== undefined && level <= this.level && (!containsPii || this.pii);
    // Checked first: formatting a message that is not logged would be the largest part of an unchanged read.
    if (!wanted && !(debug.enabled && !containsPii)) {
      return;
    }
    const source = `${this.packageName}@${this.packageVersion}`;
    const head = `[${new Date().toUTCString()}] : [${correlationId}] : ${source}`;
    if (wanted) {
      this.executeCallback(level, `${head} : ${LEVEL_NAMES[level]} - ${message}`, containsPii);
    }
    if (debug.enabled && !containsPii) {
      debug("%s - %s", LEVEL_NAMES[level], message);
    }
  }
}
