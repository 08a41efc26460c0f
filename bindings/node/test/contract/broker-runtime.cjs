// @ts-check
// A stand-in for @azure/msal-node-runtime with all of its functions. `calls` has the calls it received, `script` the
// answers it gives. Answers come later, outside the plugin's call, as those of the real one do.
exports.ErrorStatus = {};
for (const [status, name] of [
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
].entries()) {
  exports.ErrorStatus[name] = status;
  exports.ErrorStatus[status] = name;
}
exports.LogLevel = { Trace: 1, Debug: 2, Info: 3, Warning: 4, Error: 5, Fatal: 6 };

/** @param {string} name */
const account = (name) => ({
  accountId: `native-${name}`,
  homeAccountId: `${name}.tenant`,
  environment: "login.windows.net",
  realm: "tenant",
  localAccountId: name,
  username: `${name}@contoso.example`,
  givenName: name,
  familyName: "",
  middleName: "",
  displayName: name.toUpperCase(),
  additionalFieldsJson: "{}",
  homeEnvironment: "login.windows.net",
  clientInfo: "",
});

const token = {
  idToken: JSON.stringify({ oid: "object", sub: "subject", tid: "tenant" }),
  rawIdToken: "raw.id.token",
  accessToken: "access",
  authorizationHeader: "",
  grantedScopes: "one two",
  expiresOn: 1_800_000_000,
  isPopAuthorization: false,
  telemetryData: '{"is_cache":1}',
  account: account("ada"),
};

/** The calls, in order. @type {unknown[][]} */
exports.calls = [];
/**
 * By the name of a call: `fails` is thrown by the answer's `CheckError`, `throws` by the call itself, `answer` is
 * added to the answer. @type {Record<string, { fails?: unknown, throws?: unknown, answer?: object }>}
 */
exports.script = {};
/** The last logger that was registered. @type {Function | undefined} */
exports.logger = undefined;

/** @param {unknown} value */
const shown = (value) =>
  value instanceof AuthParameters ? value.set : value instanceof Uint8Array ? [...value] : value;

/** @param {string} name @param {object} answer */
const call =
  (name, answer) =>
  (/** @type {any[]} */ ...words) => {
    const callback = words.pop();
    exports.calls.push([name, ...words.map(shown)]);
    const { fails, throws, answer: changed } = exports.script[name] ?? {};
    if (throws !== undefined) {
      throw throws;
    }
    const CheckError = () => {
      if (fails !== undefined) {
        throw fails;
      }
    };
    setImmediate(callback, { CheckError, telemetryData: "{}", ...answer, ...changed });
    return { CancelAsyncOperation() {} };
  };

class AuthParameters {
  set = /** @type {unknown[][]} */ ([]);
}
for (const name of [
  "CreateAuthParameters",
  "SetRedirectUri",
  "SetRequestedScopes",
  "SetDecodedClaims",
  "SetAccessTokenToRenew",
  "SetPopParams",
  "SetAdditionalParameter",
]) {
  /** @type {any} */ (AuthParameters.prototype)[name] = function (/** @type {unknown[]} */ ...words) {
    const { throws } = exports.script[name] ?? {};
    if (throws !== undefined) {
      throw throws;
    }
    this.set.push([name, ...words]);
  };
}

exports.msalNodeRuntime = {
  AuthParameters,
  /** @param {Function} callback @param {boolean} pii */
  RegisterLogger(callback, pii) {
    exports.calls.push(["RegisterLogger", pii]);
    exports.logger = callback;
  },
  ReadAccountByIdAsync: call("ReadAccountByIdAsync", { account: account("ada") }),
  DiscoverAccountsAsync: call("DiscoverAccountsAsync", { accounts: [account("ada"), account("bob")] }),
  SignInAsync: call("SignInAsync", token),
  SignInSilentlyAsync: call("SignInSilentlyAsync", token),
  SignInInteractivelyAsync: call("SignInInteractivelyAsync", token),
  AcquireTokenSilentlyAsync: call("AcquireTokenSilentlyAsync", token),
  AcquireTokenInteractivelyAsync: call("AcquireTokenInteractivelyAsync", token),
  SignOutSilentlyAsync: call("SignOutSilentlyAsync", {}),
};
