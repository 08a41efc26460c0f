// @ts-check
/** The plugin's calls of the broker's runtime, and its use of the answers, tested with a stand-in for the runtime. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { isOriginal, subject } from "../../support/subject.mjs";
import { copyPackage, play } from "../installation.mjs";
import { improve, keep } from "../row.mjs";

const RUNTIME = await readFile(new URL("../broker-runtime.cjs", import.meta.url), "utf8");

const PRELUDE = `
  import runtime from "@azure/msal-node-runtime";
  const { NativeBrokerPlugin } = await import("${subject}");
  const plugin = new NativeBrokerPlugin();
  const request = (more) => ({ clientId: "client", authority: "https://login.example/common", correlationId: "c-1",
    redirectUri: "redirect", scopes: ["one", "two"], ...more });
  const told = (error) => ({ thrown: error.name, ...error, message: error.message,
    ...(error.platformBrokerError && { platformBrokerError: { name: error.platformBrokerError.name, ...error.platformBrokerError } }) });
  const late = new Promise((resolve) => setTimeout(resolve, 400, "no answer"));
  const attempt = (promise) => Promise.race([Promise.resolve(promise).catch(told), late]);
  const crashed = [];
  process.on("uncaughtException", (error) => crashed.push(told(error)));`;

/** Runs a program with a plugin over the stand-in; gives what it left in \`said\`. @param {string} dir @param {string} program */
async function script(dir, program) {
  await copyPackage(dir, { runtime: RUNTIME });
  const whole = `${PRELUDE}\nlet said;\n${program}\nconsole.log(JSON.stringify({ said, calls: runtime.calls, crashed }));`;
  return JSON.parse(await play(dir, whole));
}

const ADA = {
  homeAccountId: "ada.tenant",
  environment: "login.windows.net",
  tenantId: "tenant",
  username: "ada@contoso.example",
  localAccountId: "ada",
  name: "ADA",
  nativeAccountId: "native-ada",
};

/** The parameters of a plain request, without the one that names the library, which has its own check. */
const PLAIN = [
  ["CreateAuthParameters", "client", "https://login.example/common"],
  ["SetRedirectUri", "redirect"],
  ["SetRequestedScopes", "one two"],
];

/** @param {any[][]} set */
const withoutSku = (set) => set.filter(([, name]) => name !== "x-client-xtra-sku");

keep("broker", "accounts by id and all of them", async (_, { dir }) => {
  const { said, calls } = await script(
    dir,
    `said = [await plugin.getAccountById("native-ada", "c-1"), await plugin.getAllAccounts("client", "c-2")];`,
  );
  assert.deepEqual(said[0], ADA);
  assert.deepEqual(
    said[1].map((/** @type {any} */ { username }) => username),
    ["ada@contoso.example", "bob@contoso.example"],
  );
  assert.deepEqual(calls, [
    ["ReadAccountByIdAsync", "native-ada", "c-1"],
    ["DiscoverAccountsAsync", "client", "c-2"],
  ]);
});

/** The calls with a known and an unknown account, without a prompt and with every kind of prompt. */
const ROUTES = /** @type {const} */ ([
  ["acquireTokenSilent", {}, "SignInSilentlyAsync", "AcquireTokenSilentlyAsync"],
  ["acquireTokenInteractive", {}, "SignInAsync", "AcquireTokenInteractivelyAsync"],
  ["acquireTokenInteractive", { prompt: "none" }, "SignInSilentlyAsync", "AcquireTokenSilentlyAsync"],
  ["acquireTokenInteractive", { prompt: "login" }, "SignInInteractivelyAsync", "SignInInteractivelyAsync"],
  [
    "acquireTokenInteractive",
    { prompt: "select_account" },
    "SignInInteractivelyAsync",
    "SignInInteractivelyAsync",
  ],
  ["acquireTokenInteractive", { prompt: "create" }, "SignInInteractivelyAsync", "SignInInteractivelyAsync"],
]);

for (const [method, extra, unknown, known] of ROUTES) {
  keep("broker", `${method} ${JSON.stringify(extra)} asks the runtime as it should`, async (_, { dir }) => {
    const { calls, said } = await script(
      dir,
      `const more = { ...${JSON.stringify(extra)}, loginHint: "ada@contoso.example" };
       said = [await plugin.${method}(request(more), Buffer.from([7])),
         await plugin.${method}(request({ ...more, accountId: "native-ada" }))];`,
    );
    assert.deepEqual(
      calls.map((/** @type {any[]} */ [name]) => name),
      [unknown, "ReadAccountByIdAsync", known],
    );
    const first = calls[0];
    const parameters =
      first.find(Array.isArray) && first.find((/** @type {any} */ word) => Array.isArray(word?.[0]));
    assert.deepEqual(withoutSku(parameters), PLAIN);
    if (unknown !== "SignInSilentlyAsync") {
      assert.deepEqual(first[1], [7], "the window");
      assert.equal(first.at(-1), "ada@contoso.example", "the hint");
    }
    if (known === "AcquireTokenInteractivelyAsync") {
      assert.deepEqual(calls[2][1], [0], "no window");
    }
    const { idTokenClaims } = said[0].account;
    assert.deepEqual(said[0], {
      authority: "https://login.example/common",
      uniqueId: "object",
      tenantId: "tenant",
      scopes: ["one", "two"],
      account: { ...ADA, idTokenClaims },
      idToken: "raw.id.token",
      idTokenClaims: { oid: "object", sub: "subject", tid: "tenant" },
      accessToken: "access",
      fromCache: true,
      expiresOn: "2027-01-15T08:00:00.000Z",
      tokenType: "Bearer",
      correlationId: "c-1",
      fromPlatformBroker: true,
    });
  });
}

keep(
  "broker",
  "claims, proof of possession, a resource and extra parameters are passed on",
  async (_, { dir }) => {
    const { calls, said } = await script(
      dir,
      `runtime.script.SignInSilentlyAsync = { answer: { isPopAuthorization: true, authorizationHeader: "pop signed" } };
     const { accessToken, tokenType, resource } = await plugin.acquireTokenSilent(request({ claims: "{}", authenticationScheme: "pop",
       resourceRequestMethod: "GET", resourceRequestUri: "https://graph.example/me?x=1", shrNonce: "nonce",
       resource: "https://graph.example", extraParameters: { a: "b", "x-client-xtra-sku": "|,|,|,|" } }));
     said = { accessToken, tokenType, resource };`,
    );
    assert.deepEqual(withoutSku(calls[0][1]), [
      ...PLAIN,
      ["SetDecodedClaims", "{}"],
      ["SetPopParams", "GET", "graph.example", "/me", "nonce"],
      ["SetAdditionalParameter", "resource", "https://graph.example"],
      ["SetAdditionalParameter", "a", "b"],
    ]);
    assert.deepEqual(said, { accessToken: "signed", tokenType: "pop", resource: "https://graph.example" });
    const sku = calls[0][1].at(-1)[2];
    assert.match(
      sku,
      isOriginal ? /^\|,\|,msal\.node\.ext\|5\.6\.0,\|$/ : /^\|,\|,tokenkeep\|\d+\.\d+\.\d+,\|$/,
    );
  },
);

keep("broker", "without a redirect URI the platform's own is used", async (_, { dir }) => {
  const { calls } = await script(
    dir,
    "await plugin.acquireTokenSilent(request({ redirectUri: undefined }));",
  );
  const expected = {
    darwin: "msauth.com.msauth.unsignedapp://auth",
    win32: "ms-appx-web://Microsoft.AAD.BrokerPlugin/client",
  };
  const other = "https://login.microsoftonline.com/common/oauth2/nativeclient";
  assert.deepEqual(calls[0][1][1], [
    "SetRedirectUri",
    expected[/** @type {keyof typeof expected} */ (process.platform)] ?? other,
  ]);
});

/** Statuses, and the errors that programs expect for them. */
const ERRORS = [
  [2, "InteractionRequired", "InteractionRequiredAuthError", "interaction_required"],
  [13, "AccountUnusable", "InteractionRequiredAuthError", "interaction_required"],
  [3, "NoNetwork", "ClientAuthError", "no_network_connectivity"],
  [4, "NetworkTemporarilyUnavailable", "ClientAuthError", "no_network_connectivity"],
  [5, "ServerTemporarilyUnavailable", "ServerError", "server_unavailable"],
  [7, "UserCanceled", "ClientAuthError", "user_canceled"],
  [11, "AuthorityUntrusted", "ClientConfigurationError", "untrusted_authority"],
  [16, "AccountNotFound", "ClientAuthError", "no_account_found"],
  [0, "Unexpected", "ClientAuthError", "platform_broker_error"],
];

keep(
  "broker",
  "every status becomes the error that programs know, with the broker's own words",
  async (_, { dir }) => {
    const statuses = JSON.stringify(ERRORS.map(([status]) => status));
    const { said } = await script(
      dir,
      `said = [];
     for (const errorStatus of ${statuses}) {
       const failure = { errorCode: 5, errorStatus, errorContext: "context", errorTag: 0x01234567 };
       for (const how of ["fails", "throws"]) {
         runtime.script = { SignInSilentlyAsync: { [how]: failure } };
         said.push(await attempt(plugin.acquireTokenSilent(request())));
       }
     }
     runtime.script = { DiscoverAccountsAsync: { fails: { errorCode: 1, errorStatus: 16, errorContext: "", errorTag: 0 } } };
     said.push(await attempt(plugin.getAllAccounts("client", "c-1")));`,
    );
    const last = said.pop();
    assert.equal(last.platformBrokerError.errorMessage, "(Error Code: 1, Tag: UNTAG)");
    for (const [index, shown] of said.entries()) {
      const [, status, name, code] = ERRORS[index >> 1] ?? [];
      assert.deepEqual(
        [shown.thrown, shown.errorCode, shown.correlationId, shown.subError],
        [name, code, "c-1", ""],
        String(status),
      );
      const { platformBrokerError: words } = shown;
      assert.equal(words.name, "PlatformBrokerError");
      assert.equal(words.errorCode, status);
      assert.equal(words.statusCode, 5);
      assert.equal(words.errorMessage, `context (Error Code: 5, Tag: ${words.tag})`);
      assert.match(words.tag, /^[a-z0-9*]{5}$/);
      const tells = ["interaction_required", "server_unavailable"].includes(String(code));
      assert.equal(shown.errorMessage.includes("context"), tells, shown.errorMessage);
    }
  },
);

keep("broker", "signing out takes an account, and asks for it first", async (_, { dir }) => {
  const { said, calls } = await script(
    dir,
    `said = [await attempt(plugin.signOut({ clientId: "client", accountId: "", correlationId: "c-1" }))];
     await plugin.signOut({ clientId: "client", accountId: "native-ada", correlationId: "c-2" });`,
  );
  assert.deepEqual([said[0].thrown, said[0].errorCode], ["ClientAuthError", "no_account_found"]);
  assert.deepEqual(
    calls.map((/** @type {any[]} */ call) => call.slice(0, 3)),
    [
      ["ReadAccountByIdAsync", "native-ada", "c-2"],
      ["SignOutSilentlyAsync", "client", "c-2"],
    ],
  );
});

keep("broker", "a person who switched accounts is no failure", async (_, { dir }) => {
  const { said } = await script(
    dir,
    `runtime.script.SignInAsync = { fails: { errorCode: 0, errorStatus: 12, errorContext: "", errorTag: 0 } };
     said = (await plugin.acquireTokenInteractive(request())).accessToken;`,
  );
  assert.equal(said, "access");
});

keep("broker", "the runtime's log goes to the logger, at its level", async (_, { dir }) => {
  const { said, calls } = await script(
    dir,
    `said = [];
     plugin.setLogger({ loggerCallback: (level, text, pii) => said.push([level, text.endsWith("line"), pii]), logLevel: 4,
       piiLoggingEnabled: true });
     for (const level of [1, 2, 3, 4, 5, 6, 9]) runtime.logger("line", level, level === 4, "c");`,
  );
  assert.deepEqual(calls[0], ["RegisterLogger", true]);
  assert.deepEqual(
    said.map((/** @type {any[]} */ [level, , pii]) => [level, pii]),
    [
      [4, false],
      [4, false],
      [2, false],
      [1, true],
      [0, false],
      [0, false],
      [2, false],
    ],
  );
});

keep("broker", "a request that lacks what its scheme needs is refused", async (_, { dir }) => {
  const { said, calls } = await script(
    dir,
    `said = await attempt(plugin.acquireTokenSilent(request({ authenticationScheme: "pop" })));`,
  );
  assert.match(said.message, /resourceRequestMethod, resourceRequestUri/);
  assert.deepEqual(calls, []);
});

/** An answer without claims. */
const UNREADABLE = `runtime.script.SignInSilentlyAsync = { answer: { idToken: "not JSON", telemetryData: "neither" } };
  said = await attempt(plugin.acquireTokenSilent(request()));`;

improve("broker", "an answer that cannot be read rejects", {
  async original(_, { dir }) {
    const { said, crashed } = await script(dir, UNREADABLE);
    assert.equal(said, "no answer");
    assert.match(crashed[0].message, /Unable to parse idToken claims/);
  },
  async ours(_, { dir }) {
    const { said, crashed } = await script(dir, UNREADABLE);
    assert.match(said.message, /Unable to parse idToken claims/);
    assert.deepEqual(crashed, []);
  },
});

/** A failure in the answer that does not come from the runtime. */
const FOREIGN = `runtime.script.SignInSilentlyAsync = { fails: new TypeError("of another kind") };
  said = await attempt(plugin.acquireTokenSilent(request()));`;

improve("broker", "an error that is none of the runtime's rejects as it is", {
  async original(_, { dir }) {
    const { said, crashed } = await script(dir, FOREIGN);
    assert.equal(said, "no answer");
    assert.equal(crashed[0].message, "of another kind");
  },
  async ours(_, { dir }) {
    const { said } = await script(dir, FOREIGN);
    assert.deepEqual([said.thrown, said.message], ["TypeError", "of another kind"]);
  },
});
