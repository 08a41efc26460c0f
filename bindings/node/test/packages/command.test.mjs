// @ts-check
/**
 * The command `tokenkeep` as npx starts it from the packed packages, installed without scripts: the platform
 * package's executable behind the main package's script, and the script's messages without an executable.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, cp, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { end, run, track } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { OURS } from "../support/subject.mjs";
import { install, packedVersion } from "./project.mjs";

/** @type {import("./project.mjs").Project} */
let project;
/** The platform's package in it. */
let native = "";
/** @type {(() => unknown)[]} */
const ends = [];

before(async () => {
  const scope = { after: (/** @type {() => unknown} */ done) => void ends.unshift(done) };
  project = await install(scope, { dependencies: { [OURS]: packedVersion() } });
  const modules = join(project.folder, "node_modules");
  const name = (await readdir(modules)).find((one) => one.startsWith("tokenkeep-"));
  native = join(modules, `${name}`);
});

after(async () => {
  for (const done of ends) {
    await done();
  }
});

/**
 * Creates an environment with its own home directory and no session of the user who runs the tests.
 *
 * @param {import("../support/scratch.mjs").Scope} scope
 * @param {NodeJS.ProcessEnv} [more]
 */
async function at(scope, more = {}) {
  const home = await scratchDirectory(scope);
  const { PATH, SystemRoot } = process.env;
  return { PATH, SystemRoot, HOME: home, USERPROFILE: home, npm_config_update_notifier: "false", ...more };
}

/** @param {string[]} words @param {NodeJS.ProcessEnv} env */
const npx = (words, env) => run("npx", ["--no-install", "tokenkeep", ...words], { cwd: project.folder, env });

/** A cache with one account. */
const CACHE = {
  Account: {
    "uid.utid-login.microsoftonline.com-utid": {
      home_account_id: "uid.utid",
      environment: "login.microsoftonline.com",
      realm: "utid",
      local_account_id: "uid",
      username: "anna@example.org",
      authority_type: "MSSTS",
    },
  },
};

describe("with the platform's package", () => {
  test("every user can start the executable", async () => {
    const { mode } = await stat(join(native, process.platform === "win32" ? "tokenkeep.exe" : "tokenkeep"));
    assert.equal(mode & 0o111, 0o111);
  });

  test("doctor examines this machine", async (t) => {
    const { stdout, stderr, code } = await npx(["doctor", "--json"], await at(t));
    const report = JSON.parse(stdout);
    assert.equal(report.schemaVersion, 1);
    assert.equal(report.version, packedVersion());
    const titles = report.sections.map((/** @type {{ title: string }} */ { title }) => title);
    assert.deepEqual(titles, ["keyring", "without a keyring", "places", "caches", "choice"], stderr);
    assert.equal(code, report.findings.length > 0 ? 3 : 0);
  });

  test("list shows who is signed in", async (t) => {
    const env = await at(t);
    const path = join(env.HOME, "cache.json");
    await writeFile(path, JSON.stringify(CACHE), { mode: 0o600 });
    const { stdout, code, stderr } = await npx(["list", "--cache-path", path], env);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /anna@example\.org/);
  });

  test("the exit code and the output are passed on", async (t) => {
    const env = await at(t);
    const nothing = await npx(["list", "--cache-path", join(env.HOME, "missing.json")], env);
    assert.deepEqual([nothing.code, nothing.stdout], [4, ""]);
    assert.match(nothing.stderr, /There is no cache at/);
    assert.equal((await npx(["frobnicate"], env)).code, 2);
    assert.equal((await npx(["doctor", "--frobnicate"], env)).code, 2);
  });

  test("doctor says in one line that the addon does not load, and examines the machine all the same", async (t) => {
    const env = await at(t);
    const addon = join(native, (await readdir(native)).find((name) => name.endsWith(".node")) ?? "");
    const whole = await readFile(addon);
    await writeFile(addon, whole.subarray(0, 1_000));
    t.after(() => writeFile(addon, whole));
    const { stdout, stderr } = await npx(["--json", "doctor"], env);
    assert.equal(JSON.parse(stdout).sections.length, 5);
    assert.match(
      stderr,
      /^tokenkeep: programs in Node\.js cannot use any store: .*its content is not that of .*$/m,
    );
    // Other commands have no use for it, and usage stays usage.
    const list = await npx(["list"], env);
    assert.equal(list.code, 4);
    assert.doesNotMatch(list.stderr, /programs in Node/);
    assert.equal((await npx(["doctor", "--json", "--frobnicate"], env)).code, 2);
  });
});

describe("signals", () => {
  // The real command ends before a signal reaches it, so these tests use the script alone.
  /** @param {import("node:test").TestContext} t @param {string} body */
  async function standIn(t, body) {
    const modules = join(await scratchDirectory(t), "node_modules");
    await cp(join(project.folder, "node_modules"), modules, { recursive: true });
    const file = join(modules, native.split(/[\\/]/).at(-1) ?? "", "tokenkeep");
    await writeFile(file, `#!/bin/sh\n${body}\n`);
    await chmod(file, 0o755);
    // As in a checkout: the stand-in was not released.
    await writeFile(join(modules, OURS, "dist", "natives.js"), "exports.NATIVES = {};");
    const child = track(
      spawn(process.execPath, [join(modules, OURS, "dist", "command.js"), "list"], {
        stdio: ["ignore", "pipe", "inherit"],
      }),
    );
    t.after(() => end(child));
    await once(/** @type {import("node:stream").Readable} */ (child.stdout), "data");
    return child;
  }

  test("a signal that ends the executable ends the script", async (t) => {
    const child = await standIn(t, "echo ready; exec sleep 50");
    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "exit"), [null, "SIGTERM"]);
  });

  test("a signal that the executable handles gives the executable's exit code", async (t) => {
    const child = await standIn(t, "trap 'exit 130' INT; echo ready; while :; do sleep 0.1; done");
    child.kill("SIGINT");
    assert.deepEqual(await once(child, "exit"), [130, null]);
  });
});

describe("without the platform's package", () => {
  before(async () => {
    await rm(native, { recursive: true });
  });

  for (const command of ["doctor", "list"]) {
    test(`${command} names it, and the remedy, in one line or one object`, async (t) => {
      const env = await at(t);
      const name = native.split(/[\\/]/).at(-1) ?? "";
      const { stdout, stderr, code } = await npx([command], env);
      assert.deepEqual([stdout, code], ["", 1]);
      assert.match(stderr, new RegExp(`^tokenkeep: .*${name} is not installed.*npm install ${name}@`, "m"));
      assert.match(stderr, /npm\/cli\/issues\/4828/);
      const json = await npx([command, "--json"], env);
      const { schemaVersion, error } = JSON.parse(json.stdout);
      assert.deepEqual([schemaVersion, error.kind, json.code], [1, "addon_missing", 1]);
      assert.ok(error.message.includes(`npm install ${name}@${packedVersion()}`));
    });
  }

  test("a package without the executable is told from one that is not there", async (t) => {
    await mkdir(native);
    t.after(() => rm(native, { recursive: true }));
    const manifest = { name: "x", version: packedVersion(), main: "addon.js" };
    await writeFile(join(native, "package.json"), JSON.stringify(manifest));
    await writeFile(join(native, "addon.js"), "");
    const { stderr, code } = await npx(["list"], await at(t));
    assert.match(stderr, /^tokenkeep: The executable of the command is not in .*npm install/m);
    assert.equal(code, 1);
  });
});
