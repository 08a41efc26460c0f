// Prints the cache that the real @azure/msal-node writes after two sign-ins with the device code flow.
// Run where it is installed: `npm install @azure/msal-node@7.2.1 && node msal-node.mjs > ../msal-node.json`.
// Nothing goes over a network: the client below answers every request, with tokens that open nothing.
import { PublicClientApplication } from "@azure/msal-node";

const CLIENT = "11111111-aaaa-4aaa-8aaa-000000000001";
const TENANT = "22222222-bbbb-4bbb-8bbb-000000000001";
const AUTHORITY = `https://login.microsoftonline.com/${TENANT}`;

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

function answer(url, person) {
  if (url.includes("/devicecode")) {
    return {
      device_code: "fake",
      user_code: "FAKE",
      verification_uri: "https://example.com",
      interval: 1,
      expires_in: 60,
      message: "",
    };
  }
  const claims = {
    oid: person.oid,
    tid: TENANT,
    sub: `sub-${person.name}`,
    preferred_username: `${person.name}@example.com`,
    name: person.full,
    aud: CLIENT,
    iss: `${AUTHORITY}/v2.0`,
    ver: "2.0",
  };
  return {
    token_type: "Bearer",
    scope: "User.Read openid profile",
    expires_in: 3600,
    ext_expires_in: 7200,
    refresh_in: 1800,
    access_token: `fake-access-token-of-${person.name}`,
    refresh_token: `fake-refresh-token-of-${person.name}`,
    id_token: `${base64url({ alg: "none", typ: "JWT" })}.${base64url(claims)}.fake`,
    client_info: base64url({ uid: person.oid, utid: TENANT }),
    foci: person.foci,
  };
}

function networkFor(person) {
  const respond = async (url) => ({ status: 200, headers: {}, body: answer(url, person) });
  return { sendGetRequestAsync: respond, sendPostRequestAsync: respond };
}

const endpoint = (name) => `${AUTHORITY}/oauth2/v2.0/${name}`;
const authorityMetadata = JSON.stringify({
  token_endpoint: endpoint("token"),
  authorization_endpoint: endpoint("authorize"),
  device_authorization_endpoint: endpoint("devicecode"),
  issuer: `${AUTHORITY}/v2.0`,
  jwks_uri: `${AUTHORITY}/discovery/v2.0/keys`,
});

let cache = "";
for (const person of [
  { name: "ada", full: "Ada Fake", oid: "33333333-cccc-4ccc-8ccc-000000000001" },
  { name: "jose", full: "José Fake 😀", oid: "33333333-cccc-4ccc-8ccc-000000000002", foci: "1" },
]) {
  const client = new PublicClientApplication({
    auth: { clientId: CLIENT, authority: AUTHORITY, authorityMetadata },
    system: { networkClient: networkFor(person) },
  });
  const tokens = client.getTokenCache();
  if (cache) tokens.deserialize(cache);
  await client.acquireTokenByDeviceCode({ scopes: ["User.Read"], deviceCodeCallback: () => {} });
  cache = tokens.serialize();
}
console.log(cache);
