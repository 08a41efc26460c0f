// @ts-check
/**
 * The Azure SDK: real @azure/identity with real @azure/identity-cache-persistence, which depends on the original ^1.5
 * and gets ours through two lines of `overrides`. A sign-in outlives its process, without a network afterwards.
 *
 * 4.13.1 is the last @azure/identity for Node 20.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { lookup } from "../support/secrets.mjs";
import { startSession } from "../support/session.mjs";
import { isOriginal, ORIGINAL, OURS } from "../support/subject.mjs";
import { install, packedVersion } from "./project.mjs";

const DEPENDENCIES = { "@azure/identity": "4.13.1", "@azure/identity-cache-persistence": "1.2.0" };

/** The service name under which @azure/identity-cache-persistence keeps all tokens. */
const SERVICE = "Microsoft.Developer.IdentityService";
const ACCOUNT = "MSALCache";

const SIGN_IN = new URL("../../../../demo/signin/", import.meta.url).href;

/** Shared by both programs: credentials whose HTTP goes to the offline service, or fails. */
const PRELUDE = `
  import { DeviceCodeCredential, InteractiveBrowserCredential, useIdentityPlugin,
    serializeAuthenticationRecord, deserializeAuthenticationRecord } from "@azure/identity";
  import { createHttpHeaders } from "@azure/core-rest-pipeline";
  import { cachePersistencePlugin } from "@azure/identity-cache-persistence";
  import { SignInService } from "${SIGN_IN}service.mjs";
  useIdentityPlugin(cachePersistencePlugin);
  const service = new SignInService();
  const answers = (request) => {
    const answer = service.handle({ method: request.method, url: request.url, body: String(request.body ?? "") });
    const { status, headers, body } = answer;
    return { request, status, headers: createHttpHeaders(headers), bodyAsText: JSON.stringify(body) };
  };
  const refuses = (request) => { throw new Error("the network is off, but asked for " + request.url); };
  const options = (send) => ({
    tenantId: "organizations",
    clientId: "00000000-0000-4000-8000-00000000c11e",
    tokenCachePersistenceOptions: { enabled: true, name: "demo", unsafeAllowUnencryptedStorage: process.env.UNENCRYPTED === "1" },
    userPromptCallback: () => {},
    retryOptions: { maxRetries: 0 },
    httpClient: { sendRequest: async (request) => send(request) },
  });
  const scope = "https://api.example/.default";
`;

const FIRST = `${PRELUDE}
  const credential = new DeviceCodeCredential(options(answers));
  const record = await credential.authenticate(scope);
  const { token } = await credential.getToken(scope);
  console.log(JSON.stringify({ record: serializeAuthenticationRecord(record), token }));`;

const SECOND = `${PRELUDE}
  const authenticationRecord = deserializeAuthenticationRecord(process.env.RECORD);
  const tokens = [];
  for (const Credential of [DeviceCodeCredential, InteractiveBrowserCredential]) {
    const credential = new Credential({ ...options(refuses), authenticationRecord, disableAutomaticAuthentication: true });
    tokens.push((await credential.getToken(scope)).token);
  }
  console.log(JSON.stringify(tokens));`;

/** @type {import("./project.mjs").Project} */
let project;
/** @type {(() => unknown)[]} */
const ends = [];

before(async () => {
  const overrides = () => {
    const ours = `npm:${OURS}@^${packedVersion()}`;
    return { overrides: { [ORIGINAL]: ours, keytar: ours } };
  };
  const scope = { after: (/** @type {() => unknown} */ end) => void ends.unshift(end) };
  const manifest = { dependencies: DEPENDENCIES, ...(isOriginal ? {} : overrides()) };
  project = await install(scope, manifest, { original: isOriginal });
});

after(async () => {
  for (const end of ends) {
    await end();
  }
});

test("the original and keytar are not in the tree, nor is the broker's runtime", async () => {
  const manifest = JSON.parse(
    await readFile(join(project.folder, "node_modules", ORIGINAL, "package.json"), "utf8"),
  );
  const installed = await project.installed();
  assert.equal(manifest.name, isOriginal ? ORIGINAL : OURS);
  assert.equal(installed.includes("@azure/msal-node-runtime"), isOriginal);
  assert.equal(installed.includes("prebuild-install"), isOriginal);
});

for (const { kind, unencrypted } of /** @type {const} */ ([
  { kind: "keyring", unencrypted: false },
  { kind: "none", unencrypted: true },
])) {
  test(`session "${kind}": a device code sign-in is found by the next process, without network`, async (t) => {
    const session = await startSession(t, kind);
    const env = { ...session.env, UNENCRYPTED: unencrypted ? "1" : "0" };
    const { record, token } = JSON.parse(await project.play(FIRST, env));
    const tokens = JSON.parse(await project.play(SECOND, { ...env, RECORD: record }));
    assert.deepEqual(tokens, [token, token], "by DeviceCodeCredential and by InteractiveBrowserCredential");

    const file = await readFile(join(session.home, ".IdentityService", "demo"), "utf8");
    if (unencrypted) {
      assert.match(file, /"RefreshToken"/);
    } else {
      assert.equal(file, "{}");
      assert.match((await lookup(session, SERVICE, ACCOUNT)) ?? "", /"RefreshToken"/);
    }
  });
}

test('session "none", unencrypted storage refused: the credential rejects with the reason', async (t) => {
  const session = await startSession(t, "none");
  await assert.rejects(project.play(FIRST, session.env), /Unable to read from the system keyring/);
});
