// @ts-check
/**
 * The demo: a program signs in and is killed; the next program is still signed in. It runs with the system's keystore
 * and, on Linux, again without a keystore.
 *
 *     node demo.mjs                                   offline, with a sign-in service of our own
 *     node demo.mjs --client-id ID --tenant TENANT    against the real service; you sign in by hand
 *     node demo.mjs --package @azure/msal-node-extensions
 *
 * Exit code 0 when every expectation was met. `cargo xtask demo` starts a private keystore for the demo. The home
 * directory is temporary, and the demo deletes its keystore item at the end.
 */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { linkTokenkeep } from "./link-package.mjs";
import { DemoProcess } from "./processes.mjs";
import { expect, fact, heading, note, verdict } from "./report.mjs";
import { DEFAULT_USER, KNOWN_HOST, SignInService } from "./signin/service.mjs";
import { listen } from "./signin/transport.mjs";

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

/** A person needs minutes to sign in; the offline service answers at once. */
const DEADLINE = real ? 15 * 60_000 : 60_000;

const setting = {
  clientId: clientId ?? "00000000-0000-4000-8000-0000000de300",
  authority: `https://${KNOWN_HOST}/${options.tenant}`,
  scopes: real ? ["User.Read"] : ["https://api.example/read"],
  origin: server?.origin,
};

/** Environment variables that lead to a keyring on Linux. */
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
async function run(place, keyring, usePlaintextFileOnLinux) {
  const folder = await mkdtemp(join(home, `${place}-`));
  const env = environment({ folder, keyring });
  const start = (onMessage = note) => new DemoProcess(env, { deadline: DEADLINE, onMessage });
  /** @param {DemoProcess} child @param {"on" | "off"} network */
  const open = (child, network) => child.ask("open", { ...setting, usePlaintextFileOnLinux, network });

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
    `found ${accounts.join(", ") || "no account"}`,
  );
  const found = await second.ask("silently");
  expect("it has a token, silently, from the cache", found.fromCache === true);
  expect("the token is the one process 1 got", found.token === signedIn.token);
  expect("no request was sent", service.requests.length === asked);

  heading("Two processes at once");
  await together(open, () => start(() => {}), signedIn.user);

  heading("Where the tokens are");
  describe(await second.ask("location"));
  expect("the tokens can be removed", (await second.ask("remove")) === true);
  await second.kill();
}

/**
 * Two processes change one cache at the same time.
 *
 * @param {(child: DemoProcess, network: "on") => Promise<string>} open
 * @param {() => DemoProcess} start
 * @param {string} already  the user signed in before
 */
async function together(open, start, already) {
  const processes = [start(), start()];
  await Promise.all(processes.map((child) => open(child, "on")));
  if (real) {
    const tokens = await Promise.all(processes.map((child) => child.ask("silently", { forceRefresh: true })));
    expect(
      "both refresh the token",
      tokens.every(({ token }) => Boolean(token)),
    );
  } else {
    const users = processes.map((_, number) =>
      Array.from({ length: 5 }, (_, turn) => `user${number * 5 + turn}@fabrikam.example`),
    );
    await Promise.all(
      processes.map(async (child, number) => {
        for (const user of users[number] ?? []) {
          await child.ask("signIn", { user });
        }
      }),
    );
    const third = start();
    await open(third, "on");
    const accounts = await third.ask("accounts");
    const missing = [already, ...users.flat()].filter((user) => !accounts.includes(user));
    expect(
      "each signed in five users, and a third process finds them all",
      missing.length === 0,
      `${missing.length} lost`,
    );
    await third.kill();
  }
  await Promise.all(processes.map((child) => child.kill()));
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
    expect("only the owner can read the file", file.mode === "600", `mode ${file.mode}`);
  }
  if (kind === "LibSecretPersistence") {
    expect("no token is in the file", file.size <= 2, `${file.size} bytes`);
  }
}

/** Without a keyring and without permission for plaintext, a program gets an error. */
async function refused() {
  heading("Without a keyring, and plaintext not allowed");
  const folder = await mkdtemp(join(home, "refused-"));
  const child = new DemoProcess(environment({ folder, keyring: false }), {
    deadline: DEADLINE,
    onMessage: note,
  });
  const answer = await child
    .ask("open", { ...setting, usePlaintextFileOnLinux: false, network: "off" })
    .catch((/** @type {Error} */ error) => error);
  expect("the program gets an error, not a plaintext file", answer instanceof Error);
  note(answer instanceof Error ? answer.message : `a ${answer}`);
  await child.kill();
}

try {
  heading(
    `━━ ${options.package} with ${process.platform === "linux" ? "the Secret Service" : "the system's keystore"} ━━`,
  );
  note(
    real
      ? `signing in to ${setting.authority}`
      : `offline: ${DEFAULT_USER} signs in with a service of our own`,
  );
  await run("keystore", true, false);
  if (process.platform === "linux") {
    heading(`━━ ${options.package} without any keyring ━━`);
    await refused();
    await run("plaintext", false, true);
  }
} catch (error) {
  expect("the demo runs to its end", false, error instanceof Error ? error.message : String(error));
} finally {
  await server?.close();
}
process.exit(verdict());
