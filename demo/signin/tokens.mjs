// @ts-check
/**
 * Tokens of the offline sign-in service: signed with a public key, of no use outside it.
 *
 * Refresh tokens and codes carry their own state, so that each process with the service accepts the tokens of the
 * others.
 */
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";

/** Not a secret: these tokens open nothing. It serves to detect a mangled token. */
const KEY = "offline sign-in";

/** @param {string | Buffer} data */
const base64url = (data) => Buffer.from(data).toString("base64url");

/** @param {string} text */
const signature = (text) => createHmac("sha256", KEY).update(text).digest();

/**
 * A JSON Web Token (RFC 7519), HS256.
 *
 * @param {Record<string, unknown>} claims
 */
export function jwt(claims) {
  const text = `${base64url(JSON.stringify({ alg: "HS256", typ: "JWT" }))}.${base64url(JSON.stringify(claims))}`;
  return `${text}.${base64url(signature(text))}`;
}

/**
 * Returns an opaque token that contains `content`. No two are equal.
 *
 * @param {string} kind
 * @param {Record<string, unknown>} content
 */
export function seal(kind, content) {
  const text = `${kind}.${base64url(JSON.stringify({ ...content, unique: randomUUID() }))}`;
  return `${text}.${base64url(signature(text))}`;
}

/**
 * Returns the content of a token of this kind, or undefined for a token of another service.
 *
 * @param {string} kind
 * @param {string} token
 * @returns {any}
 */
export function unseal(kind, token) {
  const [prefix, content = "", mark = ""] = token.split(".");
  const expected = signature(`${prefix}.${content}`);
  const given = Buffer.from(mark, "base64url");
  if (prefix !== kind || given.length !== expected.length || !timingSafeEqual(given, expected)) {
    return undefined;
  }
  return JSON.parse(Buffer.from(content, "base64url").toString());
}
