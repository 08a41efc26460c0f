// @ts-check
/**
 * The example of the document as a program: the first run signs in offline, the second run finds the sign-in without
 * a network. The tests copy it into a project, beside `example.mjs` and `signin`, and run it with each runtime.
 *
 * Prints the signed-in account, the path of the cache, and the code of the keyring's error (`store_unavailable`).
 */
import process from "node:process";
import { LibSecretPersistence } from "tokenkeep";
// @ts-expect-error: this file exists only in a project.
import { createClient } from "./example.mjs";
// @ts-expect-error
import { KNOWN_HOST, SignInService } from "./signin/service.mjs";
// @ts-expect-error
import { localNetworkClient, noNetworkClient } from "./signin/transport.mjs";

const SCOPES = ["https://api.example/read"];

const isFirst = process.env.PHASE === "first";
const { client, persistence } = await createClient({
  clientId: "00000000-0000-4000-8000-00000000c11e",
  authority: `https://${KNOWN_HOST}/organizations`,
  usePlaintextFileOnLinux: true,
  system: { networkClient: isFirst ? localNetworkClient(new SignInService()) : noNetworkClient() },
});

if (isFirst) {
  await client.acquireTokenByDeviceCode({ scopes: SCOPES, deviceCodeCallback: () => {} });
}
const [account] = await client.getTokenCache().getAllAccounts();
const { fromCache } = await client.acquireTokenSilent({ scopes: SCOPES, account });

const keyring = await LibSecretPersistence.create(
  `${persistence.getFilePath()}.marker`,
  "service",
  "account",
);
const keyringFailed = await keyring.load().catch((/** @type {any} */ error) => error.code);
const { backend } = await persistence.info();
console.log(JSON.stringify({ username: account?.username, fromCache, backend, keyringFailed }));
