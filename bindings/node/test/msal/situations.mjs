// @ts-check
/**
 * The stores and sessions of every MSAL test: each way to ask for a store, with and without a keyring, as long as
 * there is a store. (`no-store.test.mjs` has the other cases.)
 */
import { join } from "node:path";
import { startSession } from "../support/session.mjs";

/**
 * @typedef {object} Situation
 * @property {string} name
 * @property {import("../support/session.mjs").SessionKind} session
 * @property {import("../support/client.mjs").Kind} kind
 * @property {boolean} [usePlaintextFileOnLinux]
 * @property {"plaintext" | "keyring"} place  where the tokens must be
 */

/** @type {Situation[]} */
export const SITUATIONS = [
  { name: "FilePersistence, no bus", session: "none", kind: "FilePersistence", place: "plaintext" },
  { name: "FilePersistence, keyring", session: "keyring", kind: "FilePersistence", place: "plaintext" },
  {
    name: "LibSecretPersistence, keyring",
    session: "keyring",
    kind: "LibSecretPersistence",
    place: "keyring",
  },
  { name: "PersistenceCreator, keyring", session: "keyring", kind: "PersistenceCreator", place: "keyring" },
  {
    name: "PersistenceCreator, plaintext refused, keyring",
    session: "keyring",
    kind: "PersistenceCreator",
    usePlaintextFileOnLinux: false,
    place: "keyring",
  },
  {
    name: "PersistenceCreator, plaintext allowed, keyring",
    session: "keyring",
    kind: "PersistenceCreator",
    usePlaintextFileOnLinux: true,
    place: "keyring",
  },
  {
    name: "PersistenceCreator, plaintext allowed, no bus",
    session: "none",
    kind: "PersistenceCreator",
    usePlaintextFileOnLinux: true,
    place: "plaintext",
  },
  {
    name: "PersistenceCreator, plaintext allowed, no service on the bus",
    session: "no-service",
    kind: "PersistenceCreator",
    usePlaintextFileOnLinux: true,
    place: "plaintext",
  },
];

/** The two situations with different stores, for tests that do not depend on the way of asking. */
export const STORES = SITUATIONS.filter(
  ({ name }) => name === "FilePersistence, no bus" || name === "LibSecretPersistence, keyring",
);

/**
 * Starts the session of a situation and returns its store.
 *
 * @param {import("../support/scratch.mjs").Scope} scope
 * @param {Situation} situation
 */
export async function enter(scope, { session: sessionKind, kind, usePlaintextFileOnLinux }) {
  const session = await startSession(scope, sessionKind);
  const cachePath = join(session.home, "app", "cache.json");
  /** @type {import("../support/client.mjs").Store} */
  const store = { kind, cachePath, usePlaintextFileOnLinux };
  return { session, store };
}
