// @ts-check
/**
 * A sign-in service that needs no network: the part of the Microsoft identity platform (v2.0 endpoints) that
 * `@azure/msal-node` and `@azure/identity` speak, as a function from request to response.
 *
 * It owns the protocol; `transport.mjs` owns the transport. HTTP, on any host:
 *
 * | request | answer |
 * | --- | --- |
 * | `GET  /common/discovery/instance?authorization_endpoint=U` | the hosts that are one cloud: the host of U alone |
 * | `GET  /{tenant}/v2.0/.well-known/openid-configuration` | the endpoints below |
 * | `POST /{tenant}/oauth2/v2.0/devicecode` | `user_code`, `device_code`, `interval`; `login_hint` names who will approve |
 * | `GET  /{tenant}/oauth2/v2.0/authorize` | a form that posts `code` and `state` to `redirect_uri`, or a redirect there |
 * | `POST /{tenant}/oauth2/v2.0/token`, grant `device_code` | `authorization_pending` as often as `pendingPolls`, then tokens |
 * | the same, grant `authorization_code` | tokens; PKCE (S256) is checked |
 * | the same, grant `refresh_token` | tokens with a new refresh token |
 * | the same, grant `jwt-bearer` | tokens of the user of `assertion`, on behalf of whom the client asks |
 * | the same, grant `client_credentials` | an access token of the app itself |
 *
 * Tokens answer as `token_type, scope, expires_in, ext_expires_in, access_token, refresh_token, id_token, client_info`;
 * errors as `error, error_description, error_codes, timestamp, trace_id, correlation_id`, status 400.
 * Every name can sign in (see `directory.mjs`). The service records every request, so that a test can assert "no
 * network was used".
 */
import { createHash, randomInt, randomUUID } from "node:crypto";
import { userNamed } from "./directory.mjs";
import { jwt, seal, unseal } from "./tokens.mjs";

/** A host whose metadata MSAL has built in: a silent sign-in from the cache sends no request. */
export const KNOWN_HOST = "login.microsoftonline.com";

/** The user who signs in when a request names none. */
export const DEFAULT_USER = "ada@contoso.example";

/**
 * @typedef {{ method: string, url: string, headers?: Record<string, string>, body?: string }} Request
 * @typedef {{ status: number, headers: Record<string, string>, body: any }} Response
 * @typedef {{ method: string, path: string, grant: string | undefined, status: number }} Recorded
 */

/**
 * Faults to switch on: each answers in place of a token.
 *
 * @typedef {"invalid_grant" | "interaction_required" | "authorization_declined" | "expired_token" | "slow_down"
 *   | "too_many_requests" | "unavailable"} Fault
 */

/** @type {Record<Fault, () => Response>} */
const FAULTS = {
  invalid_grant: () => refusal("invalid_grant", "AADSTS70000: the grant is not valid", 70000),
  interaction_required: () =>
    refusal(
      "interaction_required",
      "AADSTS50079: the user must enrol in multi-factor authentication",
      50079,
      {
        suberror: "basic_action",
      },
    ),
  authorization_declined: () => refusal("authorization_declined", "AADSTS70018: the user said no", 70018),
  expired_token: () => refusal("expired_token", "AADSTS70020: the device code has expired", 70020),
  slow_down: () => refusal("slow_down", "AADSTS700016: polling too often", 700016),
  too_many_requests: () => ({
    status: 429,
    headers: { "retry-after": "1" },
    body: { error: "temporarily_unavailable", error_description: "too many requests" },
  }),
  unavailable: () => ({
    status: 503,
    headers: {},
    body: { error: "temporarily_unavailable", error_description: "the service is down" },
  }),
};

/**
 * @param {string} error
 * @param {string} description
 * @param {number} code
 * @param {object} [more]
 * @returns {Response}
 */
function refusal(error, description, code, more = {}) {
  const trace = { trace_id: randomUUID(), correlation_id: randomUUID() };
  const timestamp = new Date().toISOString();
  return {
    status: 400,
    headers: {},
    body: { error, error_description: description, error_codes: [code], timestamp, ...trace, ...more },
  };
}

/** @param {any} body @returns {Response} */
const ok = (body) => ({ status: 200, headers: {}, body });

/** @param {string} token @returns {Record<string, unknown>} */
function claimsOf(token) {
  try {
    return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
  } catch {
    return {};
  }
}

/** @param {string} text */
const escapeHtml = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

/** The offline sign-in service. The state of an instance is its faults, its device codes and its recorded requests. */
export class SignInService {
  /** Every request so far. @type {Recorded[]} */
  requests = [];

  /** @type {Map<Fault, number>} */
  #faults = new Map();
  /** @type {Map<string, { username: string, scope: string, polls: number }>} */
  #deviceCodes = new Map();
  /** @type {Set<string>} */
  #spent = new Set();

  /**
   * @param {object} [options]
   * @param {number} [options.lifetime]       seconds an access token is valid
   * @param {number} [options.pendingPolls]   how often a device code is still pending before it is approved
   * @param {number} [options.interval]       seconds between polls
   * @param {boolean} [options.oneTimeRefreshTokens]  refuse a refresh token that was used before
   */
  constructor({ lifetime = 3600, pendingPolls = 1, interval = 0, oneTimeRefreshTokens = false } = {}) {
    this.lifetime = lifetime;
    this.pendingPolls = pendingPolls;
    this.interval = interval;
    this.oneTimeRefreshTokens = oneTimeRefreshTokens;
  }

  /**
   * The next `times` token requests fail that way.
   *
   * @param {Fault} fault
   * @param {number} [times]
   */
  failWith(fault, times = 1) {
    this.#faults.set(fault, times);
  }

  /**
   * Returns a refresh token for a user who signed in elsewhere.
   *
   * @param {string} username
   */
  refreshTokenFor(username) {
    return seal("refresh", { username });
  }

  /**
   * Answers one request.
   *
   * @param {Request} request
   * @returns {Response}
   */
  handle(request) {
    const url = new URL(request.url);
    const form = new URLSearchParams(request.body ?? "");
    const response = this.#route(request.method, url, form);
    const grant = form.get("grant_type") ?? undefined;
    this.requests.push({ method: request.method, path: url.pathname, grant, status: response.status });
    return response;
  }

  /**
   * @param {string} method
   * @param {URL} url
   * @param {URLSearchParams} form
   * @returns {Response}
   */
  #route(method, url, form) {
    const [, tenant = "", ...rest] = url.pathname.split("/");
    const authority = `https://${url.host}/${tenant}`;
    switch (`${method} ${rest.join("/").replace(/^\//, "")}`) {
      case "GET discovery/instance":
        return this.#discovery(url);
      case "GET v2.0/.well-known/openid-configuration":
        return this.#metadata(authority);
      case "POST oauth2/v2.0/devicecode":
        return this.#deviceCode(url, form);
      case "GET oauth2/v2.0/authorize":
        return this.#authorize(url.searchParams);
      case "POST oauth2/v2.0/token":
        return this.#token(authority, form);
      default:
        return {
          status: 404,
          headers: {},
          body: { error: "not_found", error_description: `${method} ${url.pathname}` },
        };
    }
  }

  /** @param {URL} url */
  #discovery(url) {
    const asked = new URL(url.searchParams.get("authorization_endpoint") ?? url.href);
    const metadata = [{ preferred_network: asked.host, preferred_cache: asked.host, aliases: [asked.host] }];
    const segment = asked.pathname.split("/")[1];
    return ok({
      tenant_discovery_endpoint: `https://${asked.host}/${segment}/v2.0/.well-known/openid-configuration`,
      "api-version": "1.1",
      metadata,
    });
  }

  /** @param {string} authority */
  #metadata(authority) {
    return ok({
      issuer: `${authority}/v2.0`,
      authorization_endpoint: `${authority}/oauth2/v2.0/authorize`,
      token_endpoint: `${authority}/oauth2/v2.0/token`,
      device_authorization_endpoint: `${authority}/oauth2/v2.0/devicecode`,
      end_session_endpoint: `${authority}/oauth2/v2.0/logout`,
      jwks_uri: `${authority}/discovery/v2.0/keys`,
    });
  }

  /** @param {URL} url @param {URLSearchParams} form */
  #deviceCode(url, form) {
    const username = form.get("login_hint") ?? DEFAULT_USER;
    const code = seal("device", {});
    this.#deviceCodes.set(code, { username, scope: form.get("scope") ?? "", polls: 0 });
    const userCode = String(randomInt(1e8, 1e9 - 1));
    const place = `https://${url.host}/device`;
    return ok({
      device_code: code,
      user_code: userCode,
      verification_uri: place,
      expires_in: 900,
      interval: this.interval,
      message: `To sign in, open ${place} and enter the code ${userCode}.`,
    });
  }

  /** @param {URLSearchParams} query @returns {Response} */
  #authorize(query) {
    const target = query.get("redirect_uri") ?? "";
    const fields = {
      code: seal("code", {
        username: query.get("login_hint") ?? DEFAULT_USER,
        scope: query.get("scope") ?? "",
        challenge: query.get("code_challenge"),
        nonce: query.get("nonce") ?? undefined,
      }),
      state: query.get("state") ?? "",
    };
    if (query.get("response_mode") === "form_post") {
      const inputs = Object.entries(fields).map(
        ([name, value]) => `<input type="hidden" name="${name}" value="${escapeHtml(value)}">`,
      );
      const page = `<form method="post" action="${escapeHtml(target)}">${inputs.join("")}</form>`;
      return { status: 200, headers: { "content-type": "text/html" }, body: page };
    }
    const location = `${target}${target.includes("?") ? "&" : "?"}${new URLSearchParams(fields)}`;
    return { status: 302, headers: { location }, body: "" };
  }

  /** @param {string} authority @param {URLSearchParams} form */
  #token(authority, form) {
    const fault = this.#nextFault();
    if (fault) {
      return FAULTS[fault]();
    }
    switch (form.get("grant_type")) {
      case "device_code":
      case "urn:ietf:params:oauth:grant-type:device_code":
        return this.#redeemDeviceCode(authority, form);
      case "authorization_code":
        return this.#redeemCode(authority, form);
      case "refresh_token":
        return this.#refresh(authority, form);
      case "urn:ietf:params:oauth:grant-type:jwt-bearer":
        return this.#onBehalfOf(authority, form);
      case "client_credentials":
        return this.#app(authority, form);
      default:
        return refusal("unsupported_grant_type", `AADSTS70003: ${form.get("grant_type")}`, 70003);
    }
  }

  #nextFault() {
    for (const [fault, left] of this.#faults) {
      if (left > 1) {
        this.#faults.set(fault, left - 1);
      } else {
        this.#faults.delete(fault);
      }
      return fault;
    }
    return undefined;
  }

  /** @param {string} authority @param {URLSearchParams} form */
  #redeemDeviceCode(authority, form) {
    const code = form.get("device_code") ?? "";
    const login = this.#deviceCodes.get(code);
    if (!login) {
      return refusal("invalid_grant", "AADSTS70000: no such device code", 70000);
    }
    login.polls += 1;
    if (login.polls <= this.pendingPolls) {
      return refusal("authorization_pending", "AADSTS70016: the user has not signed in yet", 70016);
    }
    this.#deviceCodes.delete(code);
    return this.#issue(authority, form, { username: login.username, scope: login.scope });
  }

  /** @param {string} authority @param {URLSearchParams} form */
  #redeemCode(authority, form) {
    const login = unseal("code", form.get("code") ?? "");
    const given = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url");
    if (!login || (login.challenge && login.challenge !== given)) {
      return refusal("invalid_grant", "AADSTS501481: the code does not belong to this client", 501481);
    }
    return this.#issue(authority, form, login);
  }

  /** @param {string} authority @param {URLSearchParams} form */
  #refresh(authority, form) {
    const token = form.get("refresh_token") ?? "";
    const login = unseal("refresh", token);
    if (!login || (this.oneTimeRefreshTokens && this.#spent.has(token))) {
      return refusal("invalid_grant", "AADSTS700082: the refresh token is not valid any more", 700082, {
        suberror: "bad_token",
      });
    }
    this.#spent.add(token);
    return this.#issue(authority, form, login);
  }

  /** @param {string} authority @param {URLSearchParams} form */
  #onBehalfOf(authority, form) {
    const username = claimsOf(form.get("assertion") ?? "").preferred_username;
    return typeof username === "string"
      ? this.#issue(authority, form, { username })
      : refusal("invalid_grant", "AADSTS50027: the assertion is no token", 50027);
  }

  /** @param {string} authority @param {URLSearchParams} form */
  #app(authority, form) {
    const now = Math.floor(Date.now() / 1000);
    return ok({
      token_type: "Bearer",
      expires_in: this.lifetime,
      ext_expires_in: this.lifetime,
      access_token: jwt({
        aud: form.get("scope"),
        appid: form.get("client_id"),
        iss: `${authority}/v2.0`,
        jti: randomUUID(),
        iat: now,
        exp: now + this.lifetime,
      }),
    });
  }

  /**
   * @param {string} authority
   * @param {URLSearchParams} form
   * @param {{ username: string, scope?: string, nonce?: string }} login
   */
  #issue(authority, form, { username, scope, nonce }) {
    const user = userNamed(username);
    const now = Math.floor(Date.now() / 1000);
    const times = { iat: now, nbf: now, exp: now + this.lifetime };
    const issuer = { iss: `${new URL(authority).origin}/${user.tid}/v2.0`, tid: user.tid, ver: "2.0" };
    const person = { oid: user.oid, preferred_username: user.username, name: user.name };
    const client = form.get("client_id") ?? "";
    const granted = form.get("scope") ?? scope ?? "";
    return ok({
      token_type: "Bearer",
      scope: granted,
      expires_in: this.lifetime,
      ext_expires_in: this.lifetime,
      access_token: jwt({
        aud: "https://api.example",
        scp: granted,
        appid: client,
        jti: randomUUID(),
        ...issuer,
        ...times,
        ...person,
      }),
      refresh_token: this.refreshTokenFor(username),
      id_token: jwt({
        aud: client,
        sub: user.oid,
        ...(nonce ? { nonce } : {}),
        ...issuer,
        ...times,
        ...person,
      }),
      client_info: Buffer.from(JSON.stringify({ uid: user.oid, utid: user.tid })).toString("base64url"),
    });
  }
}
