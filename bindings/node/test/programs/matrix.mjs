// @ts-check
/**
 * A program over one version of msal-node: signs in, finds the account without a network, signs out, by the steps that it is
 * given. Prints one line of JSON.
 */
import { dirname, join } from "node:path";

const [msal = "", step = "", cachePath = ""] = process.argv.slice(2);
const { PublicClientApplication } = (await import(msal)).default ?? (await import(msal));
const { DataProtectionScope, PersistenceCachePlugin, PersistenceCreator } = await import(
  "@azure/msal-node-extensions"
);
const { KNOWN_HOST, SignInService } = await import(`${process.env.SIGN_IN}/service.mjs`);
const { localNetworkClient } = await import(`${process.env.SIGN_IN}/transport.mjs`);

const persistence = await PersistenceCreator.createPersistence({
  cachePath: join(dirname(cachePath), `${msal}.json`),
  dataProtectionScope: DataProtectionScope.CurrentUser,
  serviceName: "matrix",
  accountName: msal,
  usePlaintextFileOnLinux: true,
});
const client = new PublicClientApplication({
  auth: {
    clientId: "00000000-0000-4000-8000-00000000c11e",
    authority: `https://${KNOWN_HOST}/organizations`,
  },
  cache: { cachePlugin: new PersistenceCachePlugin(persistence) },
  // Version 1 asks for the authority before it looks into its cache.
  system: { networkClient: localNetworkClient(new SignInService()) },
});
const scopes = ["https://api.example/read"];
if (step === "first") {
  await client.acquireTokenByDeviceCode({ scopes, deviceCodeCallback: () => {} });
}
const accounts = await client.getTokenCache().getAllAccounts();
const [account] = accounts;
const token = account && (await client.acquireTokenSilent({ scopes, account }));
if (step === "out") {
  await client.getTokenCache().removeAccount(account);
}
console.log(
  JSON.stringify({
    accounts: accounts.map((/** @type {{ username: string }} */ one) => one.username),
    fromCache: token?.fromCache,
  }),
);
