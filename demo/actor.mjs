// @ts-check
/**
 * One process of the demo. It carries out the actions that `demo.mjs` sends over the channel, until the channel
 * closes or the process is killed.
 */
import { stat } from "node:fs/promises";
import { createClient } from "./example.mjs";
import { loopbackNetworkClient, noNetworkClient } from "./signin/transport.mjs";

/**
 * @typedef {object} Setting
 * @property {string} clientId
 * @property {string} authority
 * @property {string[]} scopes
 * @property {boolean} usePlaintextFileOnLinux
 * @property {string | undefined} origin  address of the offline sign-in service; undefined for the real service
 */

/** @type {Awaited<ReturnType<typeof createClient>>} */
let example;
/** @type {Setting} */
let setting;

/** The actions that the demo can send. */
const actions = {
  /** @param {Setting & { network: "on" | "off" }} wanted */
  async open({ network, ...wanted }) {
    setting = wanted;
    /** @type {any} */
    const offline = wanted.origin ? loopbackNetworkClient(wanted.origin) : undefined;
    /** @type {any} */
    const networkClient = network === "off" ? noNetworkClient() : offline;
    example = await createClient({ ...wanted, ...(networkClient ? { system: { networkClient } } : {}) });
    return example.persistence.constructor.name;
  },

  /** @param {{ user?: string }} options */
  async signIn({ user }) {
    const result = await example.client.acquireTokenByDeviceCode({
      scopes: setting.scopes,
      ...(user ? { extraQueryParameters: { login_hint: user } } : {}),
      deviceCodeCallback: ({ message }) => send({ message }),
    });
    return { user: result?.account?.username, token: result?.accessToken };
  },

  async accounts() {
    const accounts = await example.client.getTokenCache().getAllAccounts();
    return accounts.map(({ username }) => username).sort();
  },

  /** @param {{ forceRefresh?: boolean }} options */
  async silently({ forceRefresh = false }) {
    const [account] = await example.client.getTokenCache().getAllAccounts();
    if (!account) {
      throw new Error("no account is signed in");
    }
    const result = await example.client.acquireTokenSilent({ scopes: setting.scopes, account, forceRefresh });
    return { user: result.account?.username, token: result.accessToken, fromCache: result.fromCache };
  },

  async location() {
    /** @type {any} */
    const { persistence } = example;
    const path = persistence.getFilePath();
    const { mode, size } = await stat(path);
    return {
      kind: persistence.constructor.name,
      file: { path, mode: (mode & 0o777).toString(8), size },
      info: typeof persistence.info === "function" ? await persistence.info() : undefined,
    };
  },

  async remove() {
    return example.persistence.delete();
  },
};

/** @param {object} answer */
const send = (answer) => process.send?.(answer);

process.on("message", async (/** @type {any} */ { action, argument }) => {
  try {
    send({ value: await actions[/** @type {keyof actions} */ (action)](argument) });
  } catch (error) {
    send({ error: error instanceof Error ? error.message : String(error) });
  }
});
process.on("disconnect", () => process.exit(0));
