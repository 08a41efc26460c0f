// @ts-check
/**
 * The example of the document "Microsoft Authentication Extensions for Node", in our own words: the same calls with the
 * same configuration object, and nothing changed but the name of the package in the import below.
 *
 * https://learn.microsoft.com/en-us/entra/msal/javascript/node/extensions
 */
import os from "node:os";
import path from "node:path";
import { PublicClientApplication } from "@azure/msal-node";
import { DataProtectionScope, Environment, PersistenceCachePlugin, PersistenceCreator } from "tokenkeep";

export const SERVICE_NAME = "tokenkeep demo";
export const ACCOUNT_NAME = "token cache";

/**
 * Creates a client whose tokens outlive the process.
 *
 * @param {object} options
 * @param {string} options.clientId
 * @param {string} options.authority
 * @param {boolean} [options.usePlaintextFileOnLinux]
 * @param {import("@azure/msal-node").NodeSystemOptions} [options.system]
 */
export async function createClient({ clientId, authority, usePlaintextFileOnLinux = false, system }) {
  // On macOS and Linux the keyring holds the tokens, and this file tells other processes that they changed. On
  // Windows, and where plaintext was chosen, the file holds the tokens.
  const cachePath = path.join(Environment.getUserRootDirectory() ?? os.homedir(), "cache.json");

  const persistence = await PersistenceCreator.createPersistence({
    cachePath,
    dataProtectionScope: DataProtectionScope.CurrentUser,
    serviceName: SERVICE_NAME,
    accountName: ACCOUNT_NAME,
    usePlaintextFileOnLinux,
  });

  const client = new PublicClientApplication({
    auth: { clientId, authority },
    cache: { cachePlugin: new PersistenceCachePlugin(persistence) },
    ...(system ? { system } : {}),
  });
  return { client, persistence };
}
