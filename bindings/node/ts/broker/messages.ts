// Requests and results of msal-node's, and what the broker makes of them.
import { VERSION } from "../version";
import type { AuthParameters, Runtime, RuntimeAccount, TokenAnswer } from "./runtime";

/** An account the broker knows. */
export interface BrokerAccount {
  /** The account in its home tenant: `<object id>.<tenant id>`. */
  homeAccountId: string;
  /** The host of the sign-in service, such as `login.microsoftonline.com`. */
  environment: string;
  /** The tenant in which it signed in. */
  tenantId: string;
  /** The name with which the user signs in, usually an address. */
  username: string;
  /** The object id in that tenant. */
  localAccountId: string;
  /** The name for display. */
  name?: string;
  /** The claims of the id token, where there is one. */
  idTokenClaims?: { [claim: string]: unknown };
  /** By this the broker finds it again. */
  nativeAccountId?: string;
}

/** Tokens from the broker. */
export interface BrokerResult {
  /** The authority of the request. */
  authority: string;
  /** The object id in the tenant; the empty string where the token has none. */
  uniqueId: string;
  /** The tenant of the token; the empty string where the token has none. */
  tenantId: string;
  /** The scopes that were granted. */
  scopes: string[];
  /** The account of the tokens. */
  account: BrokerAccount | null;
  /** The id token as it was issued. */
  idToken: string;
  /** The claims of the id token. */
  idTokenClaims: object;
  /** The access token; for a proof of possession, the signed one. */
  accessToken: string;
  /** Whether the broker had the token already. */
  fromCache: boolean;
  /** The end of the access token. */
  expiresOn: Date | null;
  /** `Bearer`, or `pop` for a proof of possession. */
  tokenType: string;
  /** The id of the request, for logs. */
  correlationId: string;
  /** Always true. */
  fromPlatformBroker?: boolean;
  /** The resource of the request, where it named one. */
  resource?: string;
}

/** A request to the broker; msal-node's `NativeRequest` is one. */
export interface BrokerRequest {
  /** The application's id. */
  clientId: string;
  /** The address of the sign-in service with the tenant. */
  authority: string;
  /** An id for logs, usually a UUID. */
  correlationId: string;
  /** The platform's own for unsigned programs, unless given. */
  redirectUri?: string;
  /** The scopes to ask for. */
  scopes: string[];
  /** Claims to ask for, as JSON. */
  claims?: string;
  /** `pop` asks for a proof-of-possession token, which needs a method and a URI. */
  authenticationScheme?: string;
  /** The HTTP method that a proof of possession is for. */
  resourceRequestMethod?: string;
  /** The address that a proof of possession is for. */
  resourceRequestUri?: string;
  /** The server's nonce of a proof of possession. */
  shrNonce?: string;
  /** The `nativeAccountId` of an account. */
  accountId?: string;
  /** The resource, for services without scopes. */
  resource?: string;
  /** Further parameters of the request, by name. */
  extraParameters?: { [name: string]: string };
  /** The user name to suggest. */
  loginHint?: string;
  /** `login`, `select_account` and `create` always show a window, `none` never. */
  prompt?: string;
}

/** A request to forget an account; msal-node's `NativeSignOutRequest` is one. */
export interface BrokerSignOutRequest {
  /** The application's id. */
  clientId: string;
  /** The `nativeAccountId` of the account. */
  accountId: string;
  /** An id for logs. */
  correlationId: string;
}

const POP = "pop";
const BEARER = "Bearer";
const EXTRA_SKU = "x-client-xtra-sku";

/** The request in the runtime's form. @throws the runtime's errors, and an Error if a POP request lacks parameters. */
export function parametersOf(runtime: Runtime, request: BrokerRequest): AuthParameters {
  const { extraParameters = {} } = request;
  const parameters = new runtime.AuthParameters();
  parameters.CreateAuthParameters(request.clientId, request.authority);
  parameters.SetRedirectUri(request.redirectUri || redirectUri(request.clientId));
  parameters.SetRequestedScopes(request.scopes.join(" "));
  if (request.claims) {
    parameters.SetDecodedClaims(request.claims);
  }
  if (request.authenticationScheme === POP) {
    const { resourceRequestMethod: method, resourceRequestUri: uri, shrNonce: nonce = "" } = request;
    if (!method || !uri) {
      throw new Error(
        "Authentication Scheme set to POP but one or more of the following parameters are missing: " +
          "resourceRequestMethod, resourceRequestUri",
      );
    }
    const { host, pathname } = new URL(uri);
    parameters.SetPopParams(method, host, pathname, nonce);
  }
  if (request.resource) {
    parameters.SetAdditionalParameter("resource", request.resource);
  }
  for (const [name, value] of Object.entries(extraParameters)) {
    parameters.SetAdditionalParameter(name, value);
  }
  parameters.SetAdditionalParameter(EXTRA_SKU, extraSku(extraParameters[EXTRA_SKU]));
  return parameters;
}

/** The redirect URI of programs that registered no other for the broker. */
function redirectUri(clientId: string): string {
  switch (process.platform) {
    case "darwin":
      return "msauth.com.msauth.unsignedapp://auth";
    case "win32":
      return `ms-appx-web://Microsoft.AAD.BrokerPlugin/${clientId}`;
    default:
      return "https://login.microsoftonline.com/common/oauth2/nativeclient";
  }
}

/** `name|version` of up to four libraries, with commas between them; ours stands third. What is not of this form stays. */
function extraSku(given = ""): string {
  const libraries = given ? given.split(",") : ["|", "|", "|", "|"];
  if (libraries.length < 4) {
    return given;
  }
  libraries[2] = `tokenkeep|${VERSION}`;
  return libraries.join(",");
}

/** @throws Error when the answer has no claims. `fromCache` is undefined where the broker does not tell. */
export function resultOf(request: BrokerRequest, answer: TokenAnswer): BrokerResult {
  let claims: { [claim: string]: unknown };
  try {
    claims = JSON.parse(answer.idToken);
  } catch {
    // Not its message: it would quote the token.
    throw new Error("Unable to parse idToken claims");
  }
  const isPop = answer.isPopAuthorization;
  return {
    authority: request.authority,
    uniqueId: String(claims.oid || claims.sub || ""),
    tenantId: String(claims.tid || ""),
    scopes: answer.grantedScopes.split(" "),
    account: accountOf(answer.account, claims),
    idToken: answer.rawIdToken,
    idTokenClaims: claims,
    // The header of a proof of possession names its scheme first.
    accessToken: isPop ? (answer.authorizationHeader.split(" ")[1] ?? "") : answer.accessToken,
    fromCache: isFromCache(answer) ?? false,
    expiresOn: answer.expiresOn ? new Date(Number(answer.expiresOn) * 1_000) : new Date(),
    tokenType: isPop ? POP : BEARER,
    correlationId: request.correlationId,
    fromPlatformBroker: true,
    ...(request.resource && { resource: request.resource }),
  };
}

/** Whether the token was in the broker's cache; `undefined` when it does not tell. */
export function isFromCache({ telemetryData }: TokenAnswer): boolean | undefined {
  try {
    return Boolean((JSON.parse(telemetryData) as { is_cache?: unknown }).is_cache);
  } catch {
    // Faulty telemetry must not fail the request.
    return undefined;
  }
}

export function accountOf(account: RuntimeAccount, claims?: { [claim: string]: unknown }): BrokerAccount {
  return {
    homeAccountId: account.homeAccountId,
    environment: account.environment,
    tenantId: account.realm,
    username: account.username,
    localAccountId: account.localAccountId,
    name: account.displayName,
    idTokenClaims: claims,
    nativeAccountId: account.accountId,
  };
}
