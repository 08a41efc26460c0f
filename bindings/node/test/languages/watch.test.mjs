// @ts-check
/**
 * Watching across languages: a program in Rust reports msal-node's accounts, the plugin those of a program in Rust.
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { SignInService } from "../../../../demo/signin/service.mjs";
import { listen } from "../../../../demo/signin/transport.mjs";
import { accountNamed, CLIENT_ID, open, signInWithRefreshToken } from "../support/client.mjs";
import { end, track, until } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";

const ADA = "ada@contoso.example";
const BOB = "bob@contoso.example";

/** Longer than anything here takes on two busy cores. */
const LIMIT_MS = 60_000;

/** @param {string} variable */
function program(variable) {
  const path = process.env[variable];
  if (!path) {
    throw new Error(`${variable} is not set; run: cargo xtask test --only languages (which builds it)`);
  }
  accessSync(path, constants.X_OK);
  return path;
}

/** @param {import("node:test").TestContext} t */
async function stage(t) {
  const path = join(await scratchDirectory(t), "cache.json");
  const service = new SignInService();
  const { origin, close } = await listen(service);
  t.after(close);
  const { plugin, client } = await open({ kind: "FilePersistence", cachePath: path }, { network: service });
  return { path, origin, plugin, client };
}

test("a program in Rust reports sign-ins and sign-outs of msal-node", async (t) => {
  const { path, client } = await stage(t);
  const rust = track(spawn(program("TOKENKEEP_WATCH"), [path], { stdio: ["pipe", "pipe", "inherit"] }));
  t.after(() => end(rust, "SIGKILL"));
  /** @type {string[]} */
  const lines = [];
  rust.stdout.setEncoding("utf8").on("data", (text) => lines.push(...text.trim().split("\n")));
  const says = (/** @type {string[]} */ ...expected) =>
    until(`${expected}`, () => lines.join() === expected.join(), { deadline: LIMIT_MS });
  await says("watching");
  await signInWithRefreshToken(client, ADA);
  await says("watching", `+ ${ADA}`);
  await signInWithRefreshToken(client, BOB);
  await says("watching", `+ ${ADA}`, `+ ${BOB}`);
  await client.getTokenCache().removeAccount(await accountNamed(client, ADA));
  await says("watching", `+ ${ADA}`, `+ ${BOB}`, `- ${ADA}`);
  rust.stdin.end();
  await until("its end", () => rust.exitCode === 0, { deadline: LIMIT_MS });
});

test("the plugin reports sign-ins and sign-outs of a program in Rust", async (t) => {
  const { path, origin, plugin } = await stage(t);
  /** @type {string[]} */
  const told = [];
  const watcher = await plugin.watch((/** @type {import("tokenkeep").CacheChange} */ change) => {
    told.push(...change.added.map(({ username }) => `+ ${username}`));
    told.push(...change.removed.map(({ username }) => `- ${username}`));
  });
  t.after(() => watcher.close());
  const rust = (/** @type {string[]} */ ...words) =>
    promisify(execFile)(program("TOKENKEEP_MSAL_TOKEN"), [path, "--client", CLIENT_ID, ...words], {
      env: { ...process.env, TOKENKEEP_OFFLINE: origin },
      timeout: LIMIT_MS,
    });
  await rust("--user", ADA);
  await until("her coming", () => told.length === 1, { deadline: LIMIT_MS });
  await rust("--user", ADA, "--no-prompt", "--sign-out");
  await until("her going", () => told.length === 2, { deadline: LIMIT_MS });
  assert.deepEqual(told, [`+ ${ADA}`, `- ${ADA}`]);
});
