// @ts-check
/**
 * One cache file for Rust (`tokenkeep-azure`), the real msal-node with our plugin, and the real msal for Python. An
 * account that one signs in is signed in for all, and a refresh token that one redeems is replaced for all.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { tenantOf } from "../../../../demo/signin/directory.mjs";
import { SignInService } from "../../../../demo/signin/service.mjs";
import { listen } from "../../../../demo/signin/transport.mjs";
import { CLIENT_ID, open, SCOPES, signInWithDeviceCode, silently } from "../support/client.mjs";
import { scratchDirectory } from "../support/scratch.mjs";

const execute = promisify(execFile);

const ADA = "ada@contoso.example";
const SCOPE = /** @type {string} */ (SCOPES[0]);
/** A scope with its own token, which therefore redeems the refresh token. */
const OTHER = "https://other.example/.default";

/** Longer than anything here takes on two busy cores. */
const LIMIT_MS = 60_000;

/** The packages that keep the tokens of msal for Python. */
const PERSISTENCES = [
  { name: "msal-extensions", folder: () => [] },
  { name: "tokenkeep", folder: () => [program("TOKENKEEP_PYTHON_PACKAGE")] },
];

/** @param {string} variable */
function program(variable) {
  const path = process.env[variable];
  if (!path) {
    throw new Error(`${variable} is not set; run: cargo xtask test --only languages (which builds it)`);
  }
  accessSync(path, constants.X_OK);
  return path;
}

/**
 * Creates a cache, a service with one-time refresh tokens, and clients that use both.
 *
 * @param {import("node:test").TestContext} t
 * @param {{ name: string, folder: () => string[] }} [persistence] the package that keeps Python's tokens
 */
async function stage(t, persistence = PERSISTENCES[0]) {
  const path = join(await scratchDirectory(t), "cache.json");
  const service = new SignInService({ oneTimeRefreshTokens: true });
  const { origin, close } = await listen(service);
  t.after(close);
  /** @type {import("../support/client.mjs").Store} */
  const store = { kind: "FilePersistence", cachePath: path };

  /** @param {string[]} args */
  async function rust(...args) {
    const env = { ...process.env, TOKENKEEP_OFFLINE: origin };
    const { stdout } = await execute(
      program("TOKENKEEP_MSAL_TOKEN"),
      [path, "--client", CLIENT_ID, ...args],
      {
        env,
        timeout: LIMIT_MS,
      },
    );
    return /** @type {{ token: string, username: string, signedOut: boolean }} */ (JSON.parse(stdout));
  }

  /** @param {"sign-in" | "silent" | "refresh"} action */
  async function python(action, scope = SCOPE) {
    const script = new URL("person.py", import.meta.url).pathname;
    const args = [script, path, origin, CLIENT_ID, tenantOf("contoso.example"), action, scope];
    args.push(...(persistence?.folder() ?? []));
    const { stdout } = await execute(program("TOKENKEEP_PYTHON"), args, { timeout: LIMIT_MS });
    const said = JSON.parse(stdout);
    assert.equal(said.error, null);
    return /** @type {{ token: string, username: string, requests: string[] }} */ (said);
  }

  const redeemed = () => service.requests.filter(({ grant }) => grant === "refresh_token").length;
  const node = () => open(store, { network: service });
  return { service, rust, python, node, redeemed };
}

test("signed in by Rust: msal-node finds the token without network, and refreshes with what Rust has stored", async (t) => {
  const { rust, node, redeemed, service } = await stage(t);
  const { token } = await rust("--user", ADA);
  const asked = service.requests.length;

  const { client } = await node();
  const found = await silently(client, ADA);
  assert.deepEqual([found.accessToken, found.fromCache], [token, true]);
  assert.equal(service.requests.length, asked, "no request was sent");
  assert.equal(found.account?.name, "Ada");

  await rust("--no-prompt", "--scope", OTHER);
  assert.equal(redeemed(), 1);
  const { client: next } = await node();
  assert.notEqual((await silently(next, ADA, { forceRefresh: true })).accessToken, token);
  assert.equal(redeemed(), 2, "the refresh token that Rust left was good");
});

test("signed in by msal-node: Rust finds the token without network, and refreshes with what msal-node has stored", async (t) => {
  const { rust, node, redeemed, service } = await stage(t);
  const { client } = await node();
  const signedIn = await signInWithDeviceCode(client, ADA);
  const asked = service.requests.length;
  assert.equal((await rust("--no-prompt")).token, signedIn?.accessToken);
  assert.equal((await rust("--no-prompt", "--list")).username, ADA);
  assert.equal(service.requests.length, asked, "no request was sent");

  const renewed = await silently(client, ADA, { forceRefresh: true });
  assert.equal((await rust("--no-prompt")).token, renewed.accessToken);
  await rust("--no-prompt", "--scope", OTHER);
  // The same client, which has been running all the time.
  await silently(client, ADA, { forceRefresh: true });
  assert.equal(redeemed(), 3);
});

for (const persistence of PERSISTENCES) {
  test(`signed in by Rust: msal for Python with ${persistence.name} finds the token without network, and refreshes`, async (t) => {
    const { rust, python, redeemed } = await stage(t, persistence);
    const { token } = await rust("--user", ADA);
    const found = await python("silent");
    assert.deepEqual(found, { token, error: null, username: ADA, requests: [] });

    await rust("--no-prompt", "--scope", OTHER);
    assert.deepEqual((await python("refresh")).requests, ["refresh_token"]);
    assert.equal(redeemed(), 2);
    // A refresh token that Python redeemed is not redeemed again.
    await rust("--no-prompt", "--scope", "https://third.example/.default");
    assert.equal(redeemed(), 3);
  });

  test(`signed in by msal for Python with ${persistence.name}: Rust finds the token without network, and refreshes`, async (t) => {
    const { rust, python, redeemed, service } = await stage(t, persistence);
    const { token } = await python("sign-in");
    const asked = service.requests.length;
    assert.equal((await rust("--no-prompt")).token, token);
    assert.equal(service.requests.length, asked, "no request was sent");

    await rust("--no-prompt", "--scope", OTHER);
    assert.deepEqual((await python("refresh")).requests, ["refresh_token"]);
    assert.equal((await python("silent")).requests.length, 0);
    await rust("--no-prompt", "--scope", "https://third.example/.default");
    assert.equal(redeemed(), 3);
  });

  test(`five at once, Python with ${persistence.name} among them: nobody's sign-in is lost`, async (t) => {
    const { rust, python, node } = await stage(t, persistence);
    const people = ["bob", "eve", "zoe"].map((name) => `${name}@contoso.example`);
    const { client } = await node();
    await Promise.all([
      ...people.map((person) => rust("--user", person)),
      python("sign-in"),
      signInWithDeviceCode(client, "max@contoso.example"),
    ]);
    const { client: next } = await node();
    const found = (await next.getTokenCache().getAllAccounts()).map(({ username }) => username).toSorted();
    assert.deepEqual(found, [ADA, ...people, "max@contoso.example"].toSorted());
  });
}

test("a sign-out in Rust signs out in all", async (t) => {
  const { rust, node } = await stage(t);
  const { client } = await node();
  await signInWithDeviceCode(client, ADA);
  assert.deepEqual(await rust("--user", ADA, "--sign-out"), { signedOut: true });
  assert.deepEqual(await client.getTokenCache().getAllAccounts(), []);
});

test("a sign-out in msal-node signs out in Rust", async (t) => {
  const { rust, node } = await stage(t);
  await rust("--user", ADA);
  const { client } = await node();
  const [account] = await client.getTokenCache().getAllAccounts();
  assert.ok(account);
  await client.getTokenCache().removeAccount(account);
  await assert.rejects(rust("--no-prompt"), /nobody is signed in/);
});
