// The broker's failures as msal-node's errors. Programs tell those apart by `name` and `errorCode`; the classes cannot be
// msal's own, which belong to whichever copy of msal a program has, so that these have their names and fields.
import { setName } from "../error-name";
import { type RuntimeError, STATUSES } from "./runtime";

/** An error with the face of msal's `AuthError`. */
export class AuthError extends Error {
  errorCode: string;
  errorMessage: string;
  subError = "";
  correlationId: string;
  /** The broker's own message. */
  declare platformBrokerError?: PlatformBrokerError;

  constructor(name: string, errorCode: string, correlationId: string, message?: string) {
    const errorMessage = message || `See https://aka.ms/msal.js.errors#${errorCode} for details`;
    super(`${errorCode}: ${errorMessage}`);
    setName(this, name);
    this.errorCode = errorCode;
    this.errorMessage = errorMessage;
    this.correlationId = correlationId;
  }
}

/** The broker's own words: its status as `errorCode`, its number as `statusCode`, and where in it the error arose. */
export class PlatformBrokerError extends AuthError {
  readonly statusCode: number;
  readonly tag: string;

  constructor({ errorCode, errorStatus, errorContext, errorTag }: RuntimeError, correlationId: string) {
    const tag = tagText(errorTag);
    const where = `(Error Code: ${errorCode}, Tag: ${tag})`;
    const status = STATUSES[errorStatus] ?? String(errorStatus);
    super("PlatformBrokerError", status, correlationId, errorContext ? `${errorContext} ${where}` : where);
    this.statusCode = errorCode;
    this.tag = tag;
  }
}

/** Six bits of the number stand for a character, of these. */
const TAG_SYMBOLS = "abcdefghijklmnopqrstuvwxyz0123456789";

function tagText(tag: number): string {
  if (tag === 0) {
    return "UNTAG";
  }
  return [24, 18, 12, 6, 0].map((shift) => TAG_SYMBOLS[(tag >> shift) & 0x3f] ?? "*").join("");
}

export function isRuntimeError(error: unknown): error is RuntimeError {
  return (
    typeof error === "object" &&
    error !== null &&
    ["errorCode", "errorStatus", "errorContext", "errorTag"].some((field) => Object.hasOwn(error, field))
  );
}

/** Whether the person chose another account than the one asked for, which is a success with a remark. */
export function isUserSwitched(error: unknown): boolean {
  return isRuntimeError(error) && STATUSES[error.errorStatus] === "UserSwitched";
}

/** No account by the identifier that a program gave. */
export function noAccount(correlationId: string): AuthError {
  return new AuthError("ClientAuthError", "no_account_found", correlationId);
}

/** The error to show for what the runtime threw; anything but its own failures passes unchanged. */
export function brokerError(error: unknown, correlationId: string): unknown {
  if (!isRuntimeError(error)) {
    return error;
  }
  const cause = new PlatformBrokerError(error, correlationId);
  const shown = shownAs(cause, correlationId);
  shown.platformBrokerError = cause;
  return shown;
}

function shownAs({ errorCode: status, message }: PlatformBrokerError, correlationId: string): AuthError {
  switch (status) {
    case "InteractionRequired":
    case "AccountUnusable": {
      const error = new AuthError(
        "InteractionRequiredAuthError",
        "interaction_required",
        correlationId,
        message,
      );
      return Object.assign(error, { timestamp: "", traceId: "", claims: "" });
    }
    case "NoNetwork":
    case "NetworkTemporarilyUnavailable":
      return new AuthError("ClientAuthError", "no_network_connectivity", correlationId);
    case "ServerTemporarilyUnavailable":
      return new AuthError("ServerError", "server_unavailable", correlationId, message);
    case "UserCanceled":
      return new AuthError("ClientAuthError", "user_canceled", correlationId);
    case "AuthorityUntrusted":
      return new AuthError("ClientConfigurationError", "untrusted_authority", correlationId);
    case "AccountNotFound":
      return noAccount(correlationId);
    default:
      return new AuthError("ClientAuthError", "platform_broker_error", correlationId);
  }
}
