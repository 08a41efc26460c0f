// The door to the system's sign-in broker. This version has only the door: it finds out whether the broker's runtime is
// installed and starts; the requests themselves come later.
import { CallbackLogger, type Logger, type LoggerOptions } from "./logger";
import { PersistenceError } from "./persistence-error";

/** An account the broker knows. */
export interface BrokerAccount {
  homeAccountId: string;
  environment: string;
  tenantId: string;
  username: string;
  localAccountId: string;
}

/** Tokens from the broker. */
export interface BrokerResult {
  authority: string;
  uniqueId: string;
  tenantId: string;
  scopes: string[];
  account: BrokerAccount | null;
  idToken: string;
  idTokenClaims: object;
  accessToken: string;
  fromCache: boolean;
  expiresOn: Date | null;
  tokenType: string;
  correlationId: string;
}

/** A request to the broker; msal-node's `NativeRequest` is one. */
export interface BrokerRequest {
  clientId: string;
  correlationId: string;
}

/**
 * Asks the system's broker for tokens, for msal-node's `broker.nativeBrokerPlugin`.
 *
 * In this version `isBrokerAvailable` is always `false`, so that msal-node signs in without the broker.
 */
export class NativeBrokerPlugin {
  isBrokerAvailable: boolean;
  private logger: Logger;

  /** @throws PersistenceError `NotSupportedError` when `@azure/msal-node-runtime` is not installed or cannot be loaded. */
  constructor() {
    requireRuntime();
    this.isBrokerAvailable = false;
    this.logger = new CallbackLogger(undefined);
  }

  setLogger(loggerOptions: LoggerOptions): void {
    this.logger = new CallbackLogger(loggerOptions);
    this.logger.verbose("This version does not ask the broker", "");
  }

  async getAccountById(_accountId: string, _correlationId: string): Promise<BrokerAccount> {
    throw notYet();
  }

  async getAllAccounts(_clientId: string, _correlationId: string): Promise<BrokerAccount[]> {
    throw notYet();
  }

  async acquireTokenSilent(_request: BrokerRequest): Promise<BrokerResult> {
    throw notYet();
  }

  async acquireTokenInteractive(_request: BrokerRequest, _windowHandle?: Uint8Array): Promise<BrokerResult> {
    throw notYet();
  }

  async signOut(_request: BrokerRequest): Promise<void> {
    throw notYet();
  }
}

function requireRuntime(): void {
  try {
    require("@azure/msal-node-runtime");
  } catch (cause) {
    const absent = (cause as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND";
    throw PersistenceError.createNotSupportedError(
      absent
        ? 'The broker needs the package @azure/msal-node-runtime: run "npm install @azure/msal-node-runtime"'
        : `The package @azure/msal-node-runtime is installed but cannot be loaded: ${(cause as Error).message}`,
      { cause },
    );
  }
}

function notYet(): PersistenceError {
  return PersistenceError.createNotSupportedError(
    "This version of tokenkeep cannot ask the broker yet; sign in without it",
    { code: "not_supported" },
  );
}
