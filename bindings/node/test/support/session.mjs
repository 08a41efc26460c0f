// @ts-check
/**
 * A private desktop session: own HOME, own XDG directories, own D-Bus, own gnome-keyring.
 *
 * The kinds are the situations of a program on Linux:
 *
 * - `keyring`     a bus with an unlocked gnome-keyring whose default collection is "login";
 * - `locked`      the same, with that collection locked;
 * - `no-service`  a bus without a secret service, on which no service can be activated;
 * - `frozen`      a keyring that stopped answering;
 * - `silent`      a program with the keyring's name that never answers;
 * - `mute`        an address that accepts connections and never sends a byte;
 * - `dead`        an address whose socket has no listener;
 * - `none`        no bus at all.
 *
 * The real session is not visible: `env` is built from a short list, not inherited.
 */
import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { end, output, run, tellOfACrash, track, until } from "./processes.mjs";
import { scratchDirectory } from "./scratch.mjs";
import { serveSilence } from "./silent-service.mjs";
import { requireLinux, requireTools } from "./tools.mjs";

/** @typedef {"keyring" | "locked" | "frozen" | "silent" | "no-service" | "mute" | "dead" | "none"} SessionKind */

/** Variables that a child keeps; without them programs are not found or use another language. */
const KEPT = ["PATH", "LANG", "LC_ALL", "TMPDIR", "NODE_OPTIONS", "NODE_V8_COVERAGE"];

const SERVICE = "org.freedesktop.secrets";
const PASSWORD = "correct horse";

/** A running private session. */
export class Session {
  /** @param {string} home @param {NodeJS.ProcessEnv} env */
  constructor(home, env) {
    this.home = home;
    this.env = env;
    /** The keyring's own process, if there is one. @type {import("node:child_process").ChildProcess | undefined} */
    this.keyring = undefined;
  }

  /** Kills the keyring, like a crash; the bus stays. */
  async killKeyring() {
    await end(/** @type {import("node:child_process").ChildProcess} */ (this.keyring), "SIGKILL");
  }

  /** Unlocks the default collection again, with a new keyring process on the same files. @param {import("./scratch.mjs").Scope} scope */
  async restartKeyring(scope) {
    await this.killKeyring();
    this.keyring = await startKeyring(this, scope);
  }

  /** Locks the default collection, like a screen saver or `seahorse`. */
  async lock() {
    await this.#service("Lock", `array:objpath:${await this.defaultCollection()}`);
  }

  /** Returns the object path of the alias "default"; "/" if there is none. */
  async defaultCollection() {
    const reply = await this.#service("ReadAlias", "string:default");
    return /object path "([^"]+)"/.exec(reply)?.[1] ?? "/";
  }

  /** @param {string} method @param {string[]} args */
  #service(method, ...args) {
    const target = [
      `--dest=${SERVICE}`,
      "/org/freedesktop/secrets",
      `org.freedesktop.Secret.Service.${method}`,
    ];
    return output("dbus-send", ["--session", "--print-reply", "--reply-timeout=5000", ...target, ...args], {
      env: this.env,
    });
  }
}

/** @param {string} home */
async function environment(home) {
  const xdg = {
    XDG_DATA_HOME: join(home, "data"),
    XDG_CONFIG_HOME: join(home, "config"),
    XDG_CACHE_HOME: join(home, "cache"),
    XDG_RUNTIME_DIR: join(home, "run"),
  };
  for (const directory of Object.values(xdg)) {
    await mkdir(directory, { mode: 0o700 });
  }
  const kept = Object.fromEntries(
    KEPT.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])),
  );
  return { ...kept, HOME: home, ...xdg };
}

/**
 * Starts a bus without activatable services: only processes of the test answer on it.
 *
 * @param {string} home
 * @param {NodeJS.ProcessEnv} env
 * @param {import("./scratch.mjs").Scope} scope
 */
async function startBus(home, env, scope) {
  const address = `unix:path=${join(home, "run", "bus")}`;
  const config = join(home, "bus.conf");
  await writeFile(
    config,
    `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>${address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`,
  );
  const args = [`--config-file=${config}`, "--nofork", "--nopidfile", "--print-address=1"];
  const bus = track(spawn("dbus-daemon", args, { env, stdio: ["ignore", "pipe", "ignore"] }));
  scope.after(() => end(bus));
  let printed = "";
  bus.stdout.setEncoding("utf8").on("data", (text) => {
    printed += text;
  });
  await until("the private D-Bus", () => printed.includes("\n"));
  return address;
}

/** @param {Session} session @param {import("./scratch.mjs").Scope} scope */
async function startKeyring(session, scope) {
  const args = ["--foreground", "--unlock", "--components=secrets"];
  const daemon = track(
    spawn("gnome-keyring-daemon", args, { env: session.env, stdio: ["pipe", "ignore", "pipe"] }),
  );
  tellOfACrash(daemon, "gnome-keyring-daemon");
  // SIGKILL, because a stopped process handles no other signal.
  scope.after(() => end(daemon, "SIGKILL"));
  daemon.stdin.end(PASSWORD);
  await until("gnome-keyring on the private D-Bus", async () => {
    const asked = [
      "--dest=org.freedesktop.DBus",
      "/",
      "org.freedesktop.DBus.NameHasOwner",
      `string:${SERVICE}`,
    ];
    const { stdout } = await run("dbus-send", ["--session", "--print-reply", ...asked], { env: session.env });
    return stdout.includes("boolean true") && (await session.defaultCollection()) !== "/";
  });
  return daemon;
}

/**
 * @param {string} home
 * @param {import("./scratch.mjs").Scope} scope
 */
async function startMuteBus(home, scope) {
  const path = join(home, "run", "bus");
  /** @type {Set<import("node:net").Socket>} */
  const open = new Set();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => open.delete(socket)).on("close", () => open.delete(socket));
    socket.resume();
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject).listen(path, () => resolve(undefined));
  });
  scope.after(() => {
    for (const socket of open) {
      socket.destroy();
    }
    server.close();
  });
  return `unix:path=${path}`;
}

/** Leaves a socket whose listener was killed, because Node itself would remove it. @param {string} home */
async function leaveDeadSocket(home) {
  const path = join(home, "run", "bus");
  const listen = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  await run(process.execPath, ["-e", listen], { env: {} });
  return `unix:path=${path}`;
}

/**
 * Starts a private session that ends with the scope.
 *
 * @param {import("./scratch.mjs").Scope} scope
 * @param {SessionKind} [kind]
 */
export async function startSession(scope, kind = "keyring") {
  requireLinux("a session of its own");
  const home = await scratchDirectory(scope);
  const env = await environment(home);
  if (kind === "none") {
    return new Session(home, env);
  }
  if (kind === "mute") {
    return new Session(home, { ...env, DBUS_SESSION_BUS_ADDRESS: await startMuteBus(home, scope) });
  }
  if (kind === "dead") {
    return new Session(home, { ...env, DBUS_SESSION_BUS_ADDRESS: await leaveDeadSocket(home) });
  }
  requireTools("dbus-daemon", "dbus-send", "gnome-keyring-daemon");
  const session = new Session(home, { ...env, DBUS_SESSION_BUS_ADDRESS: await startBus(home, env, scope) });
  if (kind === "no-service") {
    return session;
  }
  if (kind === "silent") {
    await serveSilence(join(home, "run", "bus"), SERVICE, scope);
    return session;
  }
  const daemon = await startKeyring(session, scope);
  session.keyring = daemon;
  if (kind === "locked") {
    await session.lock();
  }
  if (kind === "frozen") {
    daemon.kill("SIGSTOP");
  }
  return session;
}
