// @ts-check
/**
 * The demo: a program signs in and is killed; the next one is still signed in. Once with the system's keystore and, on
 * Linux, once more without any.
 *
 *     node demo.mjs                                   offline, with a sign-in service of our own
 *     node demo.mjs --client-id ID --tenant TENANT    against the real service; you sign in by hand
 *     node demo.mjs --package @azure/msal-node-extensions
 *
 * Exit code 0 when every expectation was met. The keystore is the session's own: `cargo xtask demo` starts a private
 * one. The home directory is a scratch folder, and the keystore item is removed at the end.
 */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { linkTokenkeep } from "./link.mjs";
import { expect, fact, heading, note, verdict } from "./paper.mjs";
import { listen } from "./signin/faces.mjs";
import { KNOWN_HOST, SignInService, SOMEBODY } from "./signin/service.mjs";
import { Player } from "./troupe.mjs";

const { values: options } = parseArgs({
  options: {
    "client-id": { type: "string" },
    tenant: { type: "string", default: "organizations" },
    package: { type: "string", default: "tokenkeep" },
  },
});
const clientId = options["client-id"];
const real = clientId !== undefined;

if (options.package === "tokenkeep") {
  linkTokenkeep(fileURLToPath(new URL(".", import.meta.url)));
}

const service = new SignInService();
const server = real ? undefined : await listen(service);
const home = await mkdtemp(join(tmpdir(), "tokenkeep-demo-"));
process.on("exit", () => rmSync(home, { recursive: true, force: true }));
process.on("SIGINT", () => process.exit(130));

/** A person needs minutes to sign in; the offline service needs none. */
const DEADLINE = real ? 15 * 60_000 : 60_000;

const setting = {
  clientId: clientId ?? "00000000-0000-4000-8000-0000000de300",
  authority: `https://${KNOWN_HOST}/${options.tenant}`,
  scopes: real ? ["User.Read"] : ["https://api.example/read"],
  origin: server?.origin,
};

/** Variables that lead to a keystore on Linux. */
const WAYS_TO_A_KEYRING = ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "DISPLAY", "WAYLAND_DISPLAY"];

/** @param {{ folder: string, keyring: boolean }} place */
function environment({ folder, keyring }) {
  /** @type {NodeJS.ProcessEnv} */
  const env = { ...process.env, HOME: folder, LOCALAPPDATA: folder };
  if (!keyring) {
    for (const name of WAYS_TO_A_KEYRING) {
      delete env[name];
    }
  }
  if (options.package !== "tokenkeep") {
    env.TOKENKEEP_DEMO_PACKAGE = options.package;
    env.TOKENKEEP_DEMO_PARENT = new URL("../bindings/node/test/", import.meta.url).href;
  }
  return env;
}

/** @param {string} place @param {boolean} keyring @param {boolean} usePlaintextFileOnLinux */
async function play(place, keyring, usePlaintextFileOnLinux) {
  const folder = await mkdtemp(join(home, `${place}-`));
  const env = environment({ folder, keyring });
  const start = (onMessage = note) => new Player(env, { deadline: DEADLINE, onMessage });
  /** @param {Player} player @param {"on" | "off"} network */
  const open = (player, network) => player.ask("open", { ...setting, usePlaintextFileOnLinux, network });

  heading("Process 1 signs in");
  const first = start();
  const kind = await open(first, "on");
  const signedIn = await first.ask("signIn");
  expect(`${signedIn.user} is signed in, stored by ${kind}`, Boolean(signedIn.token));
  await first.kill();
  note(`process ${first.pid} killed with SIGKILL`);

  heading("Process 2 starts, with no network");
  const second = start();
  await open(second, "off");
  const asked = service.requests.length;
  const accounts = await second.ask("accounts");
  expect(
    `it finds ${signedIn.user}`,
    accounts.includes(signedIn.user),
    `found ${accounts.join(", ") || "nobody"}`,
  );
  const found = await second.ask("silently");
  expect("it has a token, silently, from the cache", found.fromCache === true);
  expect("the token is the one process 1 got", found.token === signedIn.token);
  expect("nobody was asked", service.requests.length === asked);

  heading("Two processes at once");
  await together(open, () => start(() => {}), signedIn.user);

  heading("Where the tokens are");
  describe(await second.ask("whereabouts"));
  expect("they can be forgotten", (await second.ask("forget")) === true);
  await second.kill();
}

/**
 * Two processes change one cache at the same time.
 *
 * @param {(player: Player, network: "on") => Promise<string>} open
 * @param {() => Player} start
 * @param {string} already  who is signed in before
 */
async function together(open, start, already) {
  const players = [start(), start()];
  await Promise.all(players.map((player) => open(player, "on")));
  if (real) {
    const tokens = await Promise.all(players.map((player) => player.ask("silently", { forceRefresh: true })));
    expect(
      "both refresh the token",
      tokens.every(({ token }) => Boolean(token)),
    );
  } else {
    const people = players.map((_, number) =>
      Array.from({ length: 5 }, (_, turn) => `user${number * 5 + turn}@fabrikam.example`),
    );
    await Promise.all(
      players.map(async (player, number) => {
        for (const user of people[number] ?? []) {
          await player.ask("signIn", { user });
        }
      }),
    );
    const third = start();
    await open(third, "on");
    const accounts = await third.ask("accounts");
    const missing = [already, ...people.flat()].filter((user) => !accounts.includes(user));
    expect(
      "each signed in five people, and a third process finds them all",
      missing.length === 0,
      `${missing.length} lost`,
    );
    await third.kill();
  }
  await Promise.all(players.map((player) => player.kill()));
}

/** @param {{ kind: string, file: { path: string, mode: string, size: number }, info?: Record<string, unknown> }} place */
function describe({ kind, file, info }) {
  fact("persistence", kind);
  for (const [name, value] of Object.entries(info ?? {})) {
    fact(
      name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
      value,
    );
  }
  if (!info) {
    note("(this package cannot say how they are protected)");
  }
  fact("file", `${file.path}, mode ${file.mode}, ${file.size} bytes`);
  if (process.platform !== "win32") {
    expect("nobody else can read the file", file.mode === "600", `mode ${file.mode}`);
  }
  if (kind === "LibSecretPersistence") {
    expect("no token is in the file", file.size <= 2, `${file.size} bytes`);
  }
}

/** Without a keyring and without permission for plaintext, a program is told so. */
async function refused() {
  heading("Without a keyring, and plaintext not allowed");
  const folder = await mkdtemp(join(home, "refused-"));
  const player = new Player(environment({ folder, keyring: false }), { deadline: DEADLINE, onMessage: note });
  const answer = await player
    .ask("open", { ...setting, usePlaintextFileOnLinux: false, network: "off" })
    .catch((/** @type {Error} */ error) => error);
  expect("the program gets an error, not a plaintext file", answer instanceof Error);
  note(answer instanceof Error ? answer.message : `a ${answer}`);
  await player.kill();
}

try {
  heading(
    `━━ ${options.package} with ${process.platform === "linux" ? "the Secret Service" : "the system's keystore"} ━━`,
  );
  note(
    real ? `signing in to ${setting.authority}` : `offline: ${SOMEBODY} signs in with a service of our own`,
  );
  await play("keystore", true, false);
  if (process.platform === "linux") {
    heading(`━━ ${options.package} without any keyring ━━`);
    await refused();
    await play("plaintext", false, true);
  }
} catch (error) {
  expect("the demo runs to its end", false, error instanceof Error ? error.message : String(error));
} finally {
  await server?.close();
}
process.exit(verdict());
