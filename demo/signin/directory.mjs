// @ts-check
/**
 * The accounts of the offline sign-in service. Every name can sign in. All identifiers of an account are derived from
 * its name, so that processes which share nothing agree on who "ada@contoso.example" is.
 */
import { createHash } from "node:crypto";

/**
 * @typedef {object} User
 * @property {string} username  what the person types, `name@domain`
 * @property {string} name      display name
 * @property {string} oid       object id inside the home tenant
 * @property {string} tid       home tenant id
 */

/**
 * Derives a stable UUID from a name.
 *
 * @param {string} kind separates a user and a tenant of the same name
 * @param {string} name
 */
function uuid(kind, name) {
  const hex = createHash("sha256").update(`${kind}\0${name.toLowerCase()}`).digest("hex");
  // The version (8: made by our own rule) and variant digits of RFC 9562, so that strict parsers accept it.
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `a${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}

/**
 * Returns the tenant id of a domain.
 *
 * @param {string} domain
 */
export function tenantOf(domain) {
  return uuid("tenant", domain);
}

/**
 * Returns the user with this name.
 *
 * @param {string} username
 * @returns {User}
 */
export function userNamed(username) {
  const [local, domain] = username.split("@");
  if (!local || !domain) {
    throw new RangeError(`a user name is written name@domain, not ${JSON.stringify(username)}`);
  }
  return {
    username,
    name: `${local[0]?.toUpperCase()}${local.slice(1)}`,
    oid: uuid("user", username),
    tid: tenantOf(domain),
  };
}
