// @ts-check
/**
 * The JavaScript side of the tests in interop/, from the command line: the real msal-node with the original
 * extensions, keytar, and @napi-rs/keyring (a binding of the Rust crate keyring). It uses the packages installed for
 * the Node tests.
 *
 *   peer.mjs item-read | item-write SERVICE ACCOUNT   an item of the keyring, through keytar; content by stdin, stdout
 *   peer.mjs napi-read | napi-write SERVICE ACCOUNT   the same through @napi-rs/keyring
 *   peer.mjs sign-in PATH NAME                        signs NAME in over a plaintext cache, with the device code flow
 *   peer.mjs lock PATH                                holds the cache's lock from "held" on until stdin ends, then says "released"
 *   peer.mjs write-alone PATH N                       N holds of that lock, one after another, each checked to be the only one
 *   peer.mjs accounts PATH                            prints the accounts in it, one user name a line
 */
import { rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const require = createRequire(new URL("../../bindings/node/test/package.json", import.meta.url));
const CLIENT = "11111111-aaaa-4aaa-8aaa-000000000001";
const TENANT = "22222222-bbbb-4bbb-8bbb-000000000001";
const HOST = "login.microsoftonline.com";
const AUTHORITY = `https://${HOST}/${TENANT}`;

/** @param {unknown} value */
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/**
 * The sign-in service. It answers every request in this process, for one account, with tokens that open nothing.
 *
 * @param {string} url
 * @param {string} who
 */
function answer(url, who) {
  if (url.includes("discovery/instance")) {
    const aliases = [HOST, "login.windows.net"];
    const cloud = { preferred_network: HOST, preferred_cache: "login.windows.net", aliases };
    return {
      tenant_discovery_endpoint: `${AUTHORITY}/v2.0/.well-known/openid-configuration`,
      metadata: [cloud],
    };
  }
  if (url.includes("openid-configuration")) {
    return {
      authorization_endpoint: `${AUTHORITY}/oauth2/v2.0/authorize`,
      token_endpoint: `${AUTHORITY}/oauth2/v2.0/token`,
      issuer: `${AUTHORITY}/v2.0`,
      jwks_uri: `${AUTHORITY}/keys`,
    };
  }
  if (url.includes("devicecode")) {
    return {
      device_code: "fake",
      user_code: "FAKE",
      verification_uri: "x",
      interval: 0,
      expires_in: 60,
      message: "",
    };
  }
  const claims = {
    oid: `oid-${who}`,
    tid: TENANT,
    sub: `sub-${who}`,
    preferred_username: `${who}@example.com`,
    name: who,
    aud: CLIENT,
    iss: `${AUTHORITY}/v2.0`,
    ver: "2.0",
  };
  return {
    token_type: "Bearer",
    scope: "User.Read openid profile",
    expires_in: 3600,
    ext_expires_in: 7200,
    access_token: `fake-access-token-of-${who}`,
    refresh_token: `fake-refresh-token-of-${who}`,
    id_token: `${encode({ alg: "HS256" })}.${encode(claims)}.fake`,
    client_info: encode({ uid: `oid-${who}`, utid: TENANT }),
  };
}

/** @param {string} path @param {string} who */
async function open(path, who = "") {
  const { PublicClientApplication } = require("@azure/msal-node");
  const { FilePersistence, PersistenceCachePlugin } = require("@azure/msal-node-extensions");
  const send = async (/** @type {string} */ url) => ({ status: 200, headers: {}, body: answer(url, who) });
  return new PublicClientApplication({
    auth: { clientId: CLIENT, authority: AUTHORITY },
    cache: { cachePlugin: new PersistenceCachePlugin(await FilePersistence.create(path)) },
    system: { networkClient: { sendGetRequestAsync: send, sendPostRequestAsync: send } },
  });
}

/**
 * Holds the original's lock once. Only its plugin gives access to the lock: from before until after a cache access
 * that changes the cache.
 *
 * @param {string} path @param {() => Promise<void> | void} inside
 */
async function holding(path, inside) {
  const { FilePersistence, PersistenceCachePlugin } = require("@azure/msal-node-extensions");
  const plugin = new PersistenceCachePlugin(await FilePersistence.create(path));
  const tokenCache = { serialize: () => "{}", deserialize: () => {} };
  await plugin.beforeCacheAccess({ cacheHasChanged: true, tokenCache });
  await inside();
  await plugin.afterCacheAccess({ cacheHasChanged: true, tokenCache });
}

const [action, target = "", word = ""] = process.argv.slice(2);
switch (action) {
  case "item-read":
    process.stdout.write(await require("keytar").getPassword(target, word));
    break;
  case "item-write":
    await require("keytar").setPassword(target, word, await text(process.stdin));
    break;
  case "napi-read":
    process.stdout.write(new (require("@napi-rs/keyring").Entry)(target, word).getPassword());
    break;
  case "napi-write":
    new (require("@napi-rs/keyring").Entry)(target, word).setPassword(await text(process.stdin));
    break;
  case "sign-in": {
    const client = await open(target, word);
    await client.acquireTokenByDeviceCode({ scopes: ["User.Read"], deviceCodeCallback: () => {} });
    break;
  }
  case "lock":
    await holding(target, async () => {
      process.stdout.write("held\n");
      await text(process.stdin);
    });
    process.stdout.write("released\n");
    break;
  case "write-alone":
    for (let count = Number(word); count > 0; count -= 1) {
      await holding(target, () => {
        writeFileSync(`${target}.alone`, "", { flag: "wx" });
        rmSync(`${target}.alone`);
      });
    }
    break;
  case "accounts":
    for (const account of await (await open(target)).getTokenCache().getAllAccounts()) {
      process.stdout.write(`${account.username}\n`);
    }
    break;
  default:
    throw new Error(`unknown action ${action}`);
}
