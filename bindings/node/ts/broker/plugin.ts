// The door to the system's sign-in broker: msal-node's requests to the runtime, its answers and failures back.

import { CallbackLogger, type Logger, type LoggerOptions } from "../logger";
import type { BrokerAccount, BrokerRequest, BrokerResult, BrokerSignOutRequest } from "./messages";
import {
  type AccountAnswer,
  type AccountsAnswer,
  type Answer,
  type AuthParameters,
  loadRuntime,
  type Runtime,
  type RuntimeAccount,
  type RuntimeError,
  type TokenAnswer,
} from "./runtime";

export type { BrokerAccount, BrokerRequest, BrokerResult, BrokerSignOutRequest } from "./messages";

/** A file of its own, which programs without the broker never read. */
function broker(): typeof import("../brokering") {
  return require("./brokering.js") as typeof import("../brokering");
}

/** The window handle for programs that give none. */
const NO_WINDOW = Uint8Array.of(0);

/**
 * Asks the system's broker for tokens, for msal-node's `broker.nativeBrokerPlugin`. Works through the optional package
 * `@azure/msal-node-runtime`.
 *
 * Failures have the names and fields of msal's errors, such as `InteractionRequiredAuthError` with `errorCode`
 * `interaction_required`, and the broker's own words as `platformBrokerError`.
 *
 * ```js
 * const nativeBrokerPlugin = new NativeBrokerPlugin();
 * const client = new PublicClientApplication({ auth, broker: { nativeBrokerPlugin } });
 * console.log(nativeBrokerPlugin.isBrokerAvailable);
 * ```
 */
export class NativeBrokerPlugin {
  /**
   * Whether the broker can be used. `false` when `@azure/msal-node-runtime` is not installed, cannot be loaded or could
   * not start: msal-node then signs in without the broker. The first logger is told the reason, and all methods that
   * need the broker reject with it.
   */
  isBrokerAvailable: boolean;
  private logger: Logger;
  declare private readonly runtime: Runtime | undefined;
  /** Why the broker cannot be used. */
  declare private readonly reason: unknown;
  declare private told: boolean;

  /** Never throws: programs make a plugin wherever they run, and look at `isBrokerAvailable`. */
  constructor() {
    let runtime: Runtime | undefined;
    let reason: unknown;
    try {
      runtime = loadRuntime();
      reason = runtime.StartupError;
    } catch (error) {
      reason = error;
    }
    this.isBrokerAvailable = !reason;
    this.logger = new CallbackLogger(undefined);
    // Not enumerable: printing a plugin need not print the runtime.
    Object.defineProperties(this, {
      runtime: { value: runtime },
      reason: { value: reason },
      told: { value: false, writable: true },
    });
  }

  /** The logger of this plugin and the runtime. The runtime has one for the whole process. */
  setLogger(loggerOptions: LoggerOptions): void {
    const logger = new CallbackLogger(loggerOptions);
    this.logger = logger;
    if (this.reason && !this.told) {
      this.told = true;
      logger.warning(`The broker is not available: ${sentenceOf(this.reason)}`, "");
    }
    try {
      this.runtime?.RegisterLogger(
        (message, level, containsPii, correlationId = "") =>
          pass(logger, message, level, containsPii, correlationId),
        loggerOptions.piiLoggingEnabled || false,
      );
    } catch (error) {
      if (!broker().isUserSwitched(error)) {
        throw broker().brokerError(error, "");
      }
    }
  }

  /** The account with this `nativeAccountId`. */
  async getAccountById(accountId: string, correlationId: string): Promise<BrokerAccount> {
    this.logger.trace("NativeBrokerPlugin - getAccountById called", correlationId);
    return broker().accountOf(await this.read(accountId, correlationId));
  }

  /** Every account that the broker lets this application see. */
  async getAllAccounts(clientId: string, correlationId: string): Promise<BrokerAccount[]> {
    this.logger.trace("NativeBrokerPlugin - getAllAccounts called", correlationId);
    const runtime = this.started(correlationId);
    const { accounts } = await ask<AccountsAnswer>(correlationId, (callback) =>
      runtime.DiscoverAccountsAsync(clientId, correlationId, callback),
    );
    return accounts.map((account) => broker().accountOf(account));
  }

  /** Tokens for the account of the request, or else for the one signed in to the system, without showing anything. */
  async acquireTokenSilent(request: BrokerRequest): Promise<BrokerResult> {
    this.logger.trace("NativeBrokerPlugin - acquireTokenSilent called", request.correlationId);
    return this.tokens(request, (parameters, account) => this.silently(request, parameters, account));
  }

  /** Tokens, showing a window on top of the one given where that is needed or the request's `prompt` asks for it. */
  async acquireTokenInteractive(
    request: BrokerRequest,
    providedWindowHandle?: Uint8Array,
  ): Promise<BrokerResult> {
    const { correlationId, loginHint = "", prompt } = request;
    this.logger.trace("NativeBrokerPlugin - acquireTokenInteractive called", correlationId);
    const window = providedWindowHandle ?? Buffer.from(NO_WINDOW);
    const runtime = this.started(correlationId);
    return this.tokens(request, (parameters, account) => {
      if (prompt === "none") {
        return this.silently(request, parameters, account);
      }
      return ask<TokenAnswer>(correlationId, (callback) => {
        if (prompt === "login" || prompt === "select_account" || prompt === "create") {
          return runtime.SignInInteractivelyAsync(window, parameters, correlationId, loginHint, callback);
        }
        return account
          ? runtime.AcquireTokenInteractivelyAsync(window, parameters, correlationId, account, callback)
          : runtime.SignInAsync(window, parameters, correlationId, loginHint, callback);
      });
    });
  }

  /** Forgets the account, for this application. */
  async signOut(request: BrokerSignOutRequest): Promise<void> {
    const { clientId, correlationId } = request;
    this.logger.trace("NativeBrokerPlugin - signOut called", correlationId);
    const account = await this.account(request);
    if (!account) {
      throw broker().noAccount(correlationId);
    }
    const runtime = this.started(correlationId);
    await ask<Answer>(correlationId, (callback) =>
      runtime.SignOutSilentlyAsync(clientId, correlationId, account, callback),
    );
  }

  /** The runtime. @throws the reason why it cannot be used. */
  private started(correlationId: string): Runtime {
    if (this.runtime === undefined) {
      throw this.reason;
    }
    if (this.reason) {
      throw broker().brokerError(this.reason, correlationId);
    }
    return this.runtime;
  }

  private async tokens(
    request: BrokerRequest,
    acquire: (parameters: AuthParameters, account: RuntimeAccount | null) => Promise<TokenAnswer>,
  ): Promise<BrokerResult> {
    const parameters = this.parameters(request);
    const answer = await acquire(parameters, await this.account(request));
    if (broker().isFromCache(answer) === undefined) {
      this.logger.error(
        "The broker's telemetry cannot be read: whether the token came from its cache is not known",
        request.correlationId,
      );
    }
    return broker().resultOf(request, answer);
  }

  private silently(
    { correlationId }: BrokerRequest,
    parameters: AuthParameters,
    account: RuntimeAccount | null,
  ): Promise<TokenAnswer> {
    const runtime = this.started(correlationId);
    return ask<TokenAnswer>(correlationId, (callback) =>
      account
        ? runtime.AcquireTokenSilentlyAsync(parameters, correlationId, account, callback)
        : runtime.SignInSilentlyAsync(parameters, correlationId, callback),
    );
  }

  private parameters(request: BrokerRequest): AuthParameters {
    const runtime = this.started(request.correlationId);
    try {
      return broker().parametersOf(runtime, request);
    } catch (error) {
      throw broker().brokerError(error, request.correlationId);
    }
  }

  private async account(request: {
    accountId?: string;
    correlationId: string;
  }): Promise<RuntimeAccount | null> {
    return request.accountId ? this.read(request.accountId, request.correlationId) : null;
  }

  private async read(accountId: string, correlationId: string): Promise<RuntimeAccount> {
    const runtime = this.started(correlationId);
    const { account } = await ask<AccountAnswer>(correlationId, (callback) =>
      runtime.ReadAccountByIdAsync(accountId, correlationId, callback),
    );
    return account;
  }
}

function sentenceOf(reason: unknown): string {
  const { message, errorContext } = reason as Partial<Error & RuntimeError>;
  return message ?? errorContext ?? String(reason);
}

/** Calls the runtime and waits for its answer; a failure of either becomes msal's error for it. */
function ask<T extends Answer>(
  correlationId: string,
  start: (callback: (answer: T) => void) => unknown,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const callback = (answer: T): void => {
      try {
        answer.CheckError();
      } catch (error) {
        if (!broker().isUserSwitched(error)) {
          reject(broker().brokerError(error, correlationId));
          return;
        }
      }
      resolve(answer);
    };
    try {
      start(callback);
    } catch (error) {
      reject(broker().brokerError(error, correlationId));
    }
  });
}

/** Msal's levels for the runtime's: Trace 1, Debug, Info, Warning, Error, Fatal 6. */
const LEVELS: { [level: number]: "trace" | "warning" | "error" } = {
  1: "trace",
  2: "trace",
  4: "warning",
  5: "error",
  6: "error",
};

/** Hands on a line of the runtime's. */
function pass(logger: Logger, message: string, level: number, pii: boolean, correlationId: string): void {
  const name = LEVELS[level] ?? "info";
  logger[pii ? (`${name}Pii` as const) : name](message, correlationId);
}
