// @ts-check
/**
 * The demo of several servers: a user signs in on one web server, and the other one has the token. One server is killed, Redis is
 * stopped and comes back, and a sign-out is seen everywhere at once. Offline, with a sign-in service of our own.
 *
 *     node demo/server/demo.mjs
 *
 * Needs `redis-server`, which `cargo xtask demo --server` installs. Exit code 0 when every expectation was met.
 */
import { fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createClient } from "redis";
import { linkTokenkeep } from "../link-package.mjs";
import { expect, fact, heading, note, verdict } from "../report.mjs";
import { DEFAULT_USER, KNOWN_HOST, SignInService } from "../signin/service.mjs";
import { listen } from "../signin/transport.mjs";
import { startRedis } from "./redis.mjs";

linkTokenkeep(fileURLToPath(new URL("..", import.meta.url)));

const AUTHORITY = `https://${KNOWN_HOST}/organizations`;
/** How long a server may take to be back after Redis is, in milliseconds. */
const PATIENCE = 20_000;

/** The web servers that run. @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();
process.on("exit", () => {
  for (const child of running) {
    child.kill("SIGKILL");
  }
});

/** @param {NodeJS.ProcessEnv} env */
async function startWeb(env) {
  const child = fork(fileURLToPath(new URL("web.mjs", import.meta.url)), { env: { ...process.env, ...env } });
  running.add(child);
  const [{ port }] = await Promise.race([
    once(child, "message"),
    once(child, "exit").then(() => Promise.reject(new Error("a web server did not come up"))),
  ]);
  return {
    pid: child.pid,
    /** Asks for a page. @param {string} page @param {string} [cookie] */
    async get(page, cookie = "") {
      const began = performance.now();
      const response = await fetch(`http://127.0.0.1:${port}${page}`, {
        headers: { cookie },
        redirect: "manual",
      });
      /** @type {any} */
      const body = await response.json();
      return { status: response.status, body, headers: response.headers, took: performance.now() - began };
    },
    async kill() {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
      running.delete(child);
    },
  };
}

/** What Redis holds, byte for byte. @param {string} url */
async function contentOf(url) {
  const client = await createClient({ url, RESP: 3 }).connect();
  const names = await client.keys("*");
  const values = await Promise.all(names.map((name) => client.sendCommand(["DUMP", name])));
  client.destroy();
  return { names, text: [...names, ...values.map(String)].join("\n") };
}

const service = new SignInService();
const signIn = await listen(service);
const redis = await startRedis();
const env = {
  REDIS_URL: redis.url,
  TOKENKEEP_KEYS: randomBytes(32).toString("base64"),
  SIGNIN_ORIGIN: signIn.origin,
  AUTHORITY,
};

try {
  heading("━━ tokenkeep/server: two web servers, one Redis ━━");
  let [first, second] = [await startWeb(env), await startWeb(env)];
  note(`web servers ${first.pid} and ${second.pid}; the key is in their environment`);

  heading("A user signs in on the first server");
  const login = await first.get(`/login?user=${DEFAULT_USER}`);
  const page = service.handle({ method: "GET", url: login.headers.get("location") ?? "" });
  const { pathname, search } = new URL(page.headers.location ?? "");
  const callback = await first.get(pathname + search);
  const cookie = (callback.headers.get("set-cookie") ?? "").split(";")[0];
  expect(`${DEFAULT_USER} is signed in`, callback.body.user === DEFAULT_USER, JSON.stringify(callback.body));

  heading("The second server has the token");
  const asked = service.requests.length;
  const token = await second.get("/token", cookie);
  expect("it finds the user", token.body.user === DEFAULT_USER, JSON.stringify(token.body));
  expect(
    "it has a token from the cache, and asked nobody",
    token.body.fromCache && service.requests.length === asked,
  );
  note(`in ${token.took.toFixed(0)} ms, the first request of this server`);

  heading("Where the tokens are");
  const { names, text } = await contentOf(redis.url);
  fact("Redis has", `${names.length} record, ${text.length} bytes: ${names[0]}`);
  expect("no token and no name is in it", !text.includes(token.body.accessToken) && !text.includes("ada"));
  const stranger = await startWeb({ ...env, TOKENKEEP_KEYS: randomBytes(32).toString("base64") });
  const refused = await stranger.get("/token", cookie);
  expect(
    "a server with another key gets an error",
    refused.body.code === "missing_key",
    JSON.stringify(refused.body),
  );
  await stranger.kill();

  heading("The first server is killed");
  await first.kill();
  expect("the second goes on", (await second.get("/token", cookie)).status === 200);

  heading("Redis is stopped");
  await redis.stop();
  const during = await second.get("/token", cookie);
  expect("the user is asked to wait, and not to sign in", during.status === 503, `${during.status}`);
  expect("the answer came within three seconds", during.took < 3_000, `${during.took.toFixed(0)} ms`);
  note(`${during.body.code}: ${during.body.message}`);
  await redis.start();
  const began = performance.now();
  let after = await second.get("/token", cookie);
  while (after.status !== 200 && performance.now() - began < PATIENCE) {
    await sleep(100);
    after = await second.get("/token", cookie);
  }
  expect("it is back, and the user is still signed in", after.status === 200, JSON.stringify(after.body));
  note(`${(performance.now() - began).toFixed(0)} ms after Redis`);

  heading("The user signs out, on a new server");
  first = await startWeb(env);
  expect("it removes the record", (await first.get("/logout", cookie)).body.removed === 1);
  const gone = await second.get("/token", cookie);
  expect("the other server sees it at once", gone.status === 401 && gone.body.code === "no_account");
  expect("nothing is left in Redis", (await contentOf(redis.url)).names.length === 0);
  await Promise.all([first.kill(), second.kill()]);
} catch (error) {
  expect("the demo runs to its end", false, error instanceof Error ? error.message : String(error));
} finally {
  await redis.stop();
  await signIn.close();
}
process.exit(verdict());
