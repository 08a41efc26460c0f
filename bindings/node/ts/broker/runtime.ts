// The face of `@azure/msal-node-runtime` as far as it is used here, and finding it. The package is optional and large, so
// that it is looked for when a plugin is made, not at import.

import { isAbsolute } from "node:path";
import { builtin } from "../builtin";
import { PersistenceError } from "../error";
import { ownFile } from "../handle/search";
import { objection } from "../handle/trust";

/** An account as the broker knows it. */
export interface RuntimeAccount {
  accountId: string;
  homeAccountId: string;
  environment: string;
  realm: string;
  localAccountId: string;
  username: string;
  displayName: string;
}

/** The common part of all answers. */
export interface Answer {
  /** @throws a {@link RuntimeError} when the answer is a failure. */
  CheckError(): void;
}

export interface AccountAnswer extends Answer {
  account: RuntimeAccount;
}

export interface AccountsAnswer extends Answer {
  accounts: RuntimeAccount[];
}

export interface TokenAnswer extends AccountAnswer {
  /** The claims, as JSON. */
  idToken: string;
  rawIdToken: string;
  accessToken: string;
  authorizationHeader: string;
  /** Separated by spaces. */
  grantedScopes: string;
  /** In seconds since the epoch. */
  expiresOn: number;
  isPopAuthorization: boolean;
  /** JSON. */
  telemetryData: string;
}

/** A failure of the broker; thrown by `CheckError`, by calls, and kept as `StartupError`. No `Error`. */
export interface RuntimeError {
  errorCode: number;
  errorStatus: number;
  errorContext: string;
  errorTag: number;
}

/** The parameters of a request. */
export interface AuthParameters {
  CreateAuthParameters(clientId: string, authority: string): void;
  SetRedirectUri(redirectUri: string): void;
  SetRequestedScopes(scopes: string): void;
  SetDecodedClaims(claims: string): void;
  SetPopParams(method: string, host: string, path: string, nonce: string): void;
  SetAdditionalParameter(key: string, value: string): void;
}

type Callback<T> = (answer: T) => void;
type LogCallback = (message: string, level: number, containsPii: boolean, correlationId?: string) => void;

export interface Runtime {
  readonly StartupError?: RuntimeError;
  AuthParameters: new () => AuthParameters;
  RegisterLogger(callback: LogCallback, isPiiEnabled: boolean): void;
  ReadAccountByIdAsync(accountId: string, correlationId: string, callback: Callback<AccountAnswer>): unknown;
  DiscoverAccountsAsync(clientId: string, correlationId: string, callback: Callback<AccountsAnswer>): unknown;
  SignInAsync(
    window: Uint8Array,
    parameters: AuthParameters,
    correlationId: string,
    hint: string,
    callback: Callback<TokenAnswer>,
  ): unknown;
  SignInSilentlyAsync(
    parameters: AuthParameters,
    correlationId: string,
    callback: Callback<TokenAnswer>,
  ): unknown;
  SignInInteractivelyAsync(
    window: Uint8Array,
    parameters: AuthParameters,
    correlationId: string,
    hint: string,
    callback: Callback<TokenAnswer>,
  ): unknown;
  AcquireTokenSilentlyAsync(
    parameters: AuthParameters,
    correlationId: string,
    account: RuntimeAccount,
    callback: Callback<TokenAnswer>,
  ): unknown;
  AcquireTokenInteractivelyAsync(
    window: Uint8Array,
    parameters: AuthParameters,
    correlationId: string,
    account: RuntimeAccount,
    callback: Callback<TokenAnswer>,
  ): unknown;
  SignOutSilentlyAsync(
    clientId: string,
    correlationId: string,
    account: RuntimeAccount,
    callback: Callback<Answer>,
  ): unknown;
}

/** The runtime's statuses of a failure, by number. */
export const STATUSES = [
  "Unexpected",
  "Reserved",
  "InteractionRequired",
  "NoNetwork",
  "NetworkTemporarilyUnavailable",
  "ServerTemporarilyUnavailable",
  "ApiContractViolation",
  "UserCanceled",
  "ApplicationCanceled",
  "IncorrectConfiguration",
  "InsufficientBuffer",
  "AuthorityUntrusted",
  "UserSwitched",
  "AccountUnusable",
  "UserDataRemovalRequired",
  "KeyNotFound",
  "AccountNotFound",
] as const;

/**
 * The runtime.
 *
 * @throws PersistenceError `NotSupportedError` when it is not installed, cannot be loaded, or lies where other users can change
 * it.
 */
export function loadRuntime(): Runtime {
  const name = "@azure/msal-node-runtime";
  const asker = ownFile();
  const require = builtin("node:module").createRequire(asker?.path ?? process.execPath);
  let place: string;
  try {
    place = require.resolve(name);
  } catch (cause) {
    throw PersistenceError.createNotSupportedError(
      `The broker needs the package ${name}: run "npm install ${name}"`,
      { cause },
    );
  }
  // Node's search goes up to the root, and to folders that the environment names.
  const against = isAbsolute(place) ? objection(place, undefined, asker) : undefined;
  if (against !== undefined) {
    throw PersistenceError.createNotSupportedError(
      `The package ${name} at ${place} is not loaded: ${against.why}`,
    );
  }
  try {
    return (require(name) as { msalNodeRuntime: Runtime }).msalNodeRuntime;
  } catch (cause) {
    throw PersistenceError.createNotSupportedError(
      `The package ${name} is installed but cannot be loaded: ${(cause as Error).message}`,
      { cause },
    );
  }
}
