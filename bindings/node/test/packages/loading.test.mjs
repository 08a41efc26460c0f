// @ts-check
/**
 * Where the addon and the command are loaded from: from the packages that were installed, as they were released, where no
 * other user can change them, and from nowhere else.
 *
 * Ada (1001) runs the programs. Eve (1002) has put packages of her own wherever she may. Their common directory is one
 * that everybody may write, as /tmp is.
 */
import assert from "node:assert/strict";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { output } from "../support/processes.mjs";
import { scratchDirectory } from "../support/scratch.mjs";
import { OURS } from "../support/subject.mjs";
import { privileged, runAs } from "../support/users.mjs";
import { install, packedVersion } from "./project.mjs";

const [ADA, EVE] = [1001, 1002];

/** Saves and loads, and says the error's code and message otherwise. */
const PROGRAM = `
  const { FilePersistence } = require("tokenkeep");
  (async () => {
    const file = await FilePersistence.create(process.env.HOME + "/cache.json");
    await file.save("content");
    console.log(await file.load());
  })().catch((error) => console.log(error.code, error.message));`;

/** @type {(() => unknown)[]} */
const ends = [];
/** The installed packages. @type {string} */
let modules;
/** The name of the platform's package. */
let native = "";

before(async () => {
  const scope = { after: (/** @type {() => unknown} */ end) => void ends.unshift(end) };
  const project = await install(scope, { dependencies: { [OURS]: packedVersion() } });
  modules = join(project.folder, "node_modules");
  native = readdirSync(modules).find((name) => name.startsWith("tokenkeep-")) ?? "";
});

after(async () => {
  for (const end of ends) {
    await end();
  }
});

const addonFile = () => `tokenkeep.${native.replace("tokenkeep-", "")}.node`;

/** @param {string} folder @param {string} file @param {string} text */
function write(folder, file, text) {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), text);
}

/**
 * A directory that everybody may write, with ada's project in it.
 *
 * @param {import("node:test").TestContext} t
 */
async function world(t) {
  const everybody = await scratchDirectory(t);
  t.after(() => privileged("rm", "-rf", everybody));
  const home = join(everybody, "ada");
  const project = join(home, "app");
  write(project, "main.js", PROGRAM);
  cpSync(join(modules, "tokenkeep"), join(project, "node_modules", "tokenkeep"), { recursive: true });
  cpSync(join(modules, native), join(project, "node_modules", native), { recursive: true });
  privileged("chown", "-R", `${ADA}:${ADA}`, home);
  privileged("chmod", "1777", everybody);
  const place = join(project, "node_modules", native);
  return {
    everybody,
    home,
    project,
    place,
    /** Leaves the platform's package out. */
    leaveOut: () => privileged("rm", "-rf", place),
    /** @param {{ user?: number, file?: string, args?: string[], env?: Record<string, string>, cwd?: string }} [options] */
    play: async ({
      user = ADA,
      file = join(project, "main.js"),
      args = [],
      env = {},
      cwd = project,
    } = {}) => {
      const all = { HOME: home, PATH: process.env.PATH ?? "", ...env };
      const { stdout, stderr } = await runAs(user, [process.execPath, ...args, file], { cwd, env: all });
      return stdout + stderr;
    },
  };
}

/**
 * A package of eve's under the platform's name. Its code says so, its addon is the released one, so that a program that took
 * either would be seen; its command says so as well.
 *
 * @param {string} folder
 * @param {number} [owner]
 */
function plant(folder, owner = EVE) {
  const place = join(folder, native);
  cpSync(join(modules, native), place, { recursive: true });
  writeFileSync(join(place, "package.json"), JSON.stringify({ name: native, main: "index.js" }));
  writeFileSync(
    join(place, "index.js"),
    'console.log("EVIL", process.getuid()); exports.version = () => "0.1.0";',
  );
  writeFileSync(join(place, "tokenkeep"), '#!/bin/sh\necho "EVIL $(id -u)"\n', { mode: 0o755 });
  privileged("chown", "-R", `${owner}:${owner}`, place);
  privileged("chmod", "-R", "go-w", place);
  if (!folder.endsWith("tmp")) {
    privileged("chown", `${owner}:${owner}`, folder);
  }
}

test("what was installed is loaded", async (t) => {
  assert.equal(await (await world(t)).play(), "content\n");
});

test("a package that another user put into a directory above is not loaded, and the error names it", async (t) => {
  const { everybody, leaveOut, play, project, home } = await world(t);
  leaveOut();
  plant(join(everybody, "node_modules"));
  const said = await play();
  assert.match(said, /addon_unusable .*node_modules\/tokenkeep-.* is not loaded: .*belongs to user 1002/);
  const command = join(project, "node_modules/tokenkeep/dist/command.js");
  const { stdout, stderr, code } = await runAs(ADA, [process.execPath, command, "list"], {
    cwd: project,
    env: { HOME: home, PATH: process.env.PATH },
  });
  assert.doesNotMatch(said + stdout, /EVIL/);
  assert.match(stderr, /belongs to user 1002/);
  assert.equal(code, 1);
});

test("folders of packages that the environment names, and the current directory's, are not searched", async (t) => {
  const { everybody, home, leaveOut, play } = await world(t);
  leaveOut();
  const other = join(everybody, "other");
  plant(join(other, "node_modules"), ADA);
  plant(join(home, ".node_modules"), ADA);
  /** @type {Record<string, string>[]} */
  const environments = [{ NODE_PATH: join(other, "node_modules") }, {}];
  for (const env of environments) {
    const said = await play({ cwd: other, env });
    assert.match(said, /^addon_missing /);
    assert.doesNotMatch(said, /EVIL/);
  }
});

test("a bundle loads no file from the directory above it, and none of another user", async (t) => {
  const { everybody, home, project, play } = await world(t);
  const { warnings } = await build({
    entryPoints: [join(project, "main.js")],
    bundle: true,
    platform: "node",
    outfile: join(home, "bundle", "main.cjs"),
    logLevel: "silent",
  });
  assert.deepEqual(warnings, []);
  privileged("chown", "-R", `${ADA}:${ADA}`, join(home, "bundle"));
  const file = join(home, "bundle", "main.cjs");
  const addon = join(modules, native, addonFile());
  cpSync(addon, join(home, addonFile()));
  assert.match(await play({ file }), /^addon_missing /);
  cpSync(addon, join(home, "bundle", addonFile()));
  privileged("chown", `${EVE}`, join(home, "bundle", addonFile()));
  assert.match(await play({ file }), /^addon_unusable .* belongs to user 1002/);
  privileged("chown", `${ADA}`, join(home, "bundle", addonFile()));
  assert.equal(await play({ file }), "content\n");
  plant(join(everybody, "node_modules"));
  assert.equal(await play({ file }), "content\n");
});

test("a bundle with tokenkeep/embed requires no package of another user", async (t) => {
  const { everybody, home, project, leaveOut, play } = await world(t);
  leaveOut();
  write(project, "embedding.js", `require("tokenkeep/embed");${PROGRAM}`);
  const outfile = join(home, "bundle", "main.cjs");
  await build({
    entryPoints: [join(project, "embedding.js")],
    bundle: true,
    platform: "node",
    outfile,
    logLevel: "silent",
  });
  plant(join(everybody, "node_modules"));
  for (const file of [outfile, join(project, "embedding.js")]) {
    const said = await play({ file });
    assert.match(said, /^addon_unusable .* belongs to user 1002/);
    assert.doesNotMatch(said, /EVIL/);
  }
});

test("a changed addon and a changed command are refused, with the remedy", async (t) => {
  const { place, play, project, home } = await world(t);
  appendFileSync(join(place, addonFile()), "x");
  appendFileSync(join(place, "tokenkeep"), "x");
  assert.match(await play(), /^addon_unusable .*content is not that of tokenkeep .*install the same version/);
  const command = join(project, "node_modules/tokenkeep/dist/command.js");
  const env = { HOME: home, PATH: process.env.PATH };
  const { stderr } = await runAs(ADA, [process.execPath, command, "list"], { cwd: project, env });
  assert.match(stderr, /content is not that of tokenkeep/);
});

test("files that others may change are refused, until the remedy was done", async (t) => {
  const { place, play } = await world(t);
  for (const path of [place, join(place, addonFile())]) {
    privileged("chmod", "o+w", path);
    const said = await play();
    assert.match(said, /^addon_unusable .*other users can change .*run chmod go-w on it/);
    privileged("chmod", "go-w", path);
    assert.equal(await play(), "content\n");
  }
  privileged("chown", `${ADA}:${EVE}`, join(place, addonFile()));
  privileged("chmod", "g+w", join(place, addonFile()));
  assert.match(await play(), /^addon_unusable .*other users can change/);
});

/** Installations as they are, each of which has to load. @type {[string, (at: Awaited<ReturnType<typeof world>>) => Promise<string>][]} */
const USUAL = [
  [
    "root's files, run by a user, as in an image",
    async ({ project, play }) => {
      privileged("chown", "-R", "0:0", project);
      return play();
    },
  ],
  [
    "a user's files, run by root, as in a container over a user's folder",
    async ({ everybody, play }) => {
      // Root keeps its cache in a folder of its own.
      const home = join(everybody, "root");
      privileged("mkdir", "-m", "700", home);
      privileged("chmod", "755", everybody);
      return play({ user: 0, env: { HOME: home } });
    },
  ],
  [
    "files of an image's builder, run by another user",
    async ({ project, play }) => {
      privileged("chown", "-R", "4321:4321", project);
      return play();
    },
  ],
  [
    "files that the user's own group may write (umask 002)",
    async ({ project, play }) => {
      privileged("chmod", "-R", "g+w", project);
      return play();
    },
  ],
  [
    "a file system without modes, on which everybody may write everything",
    async ({ project, play }) => {
      privileged("chmod", "-R", "0777", project);
      return play();
    },
  ],
  [
    "pnpm's store of links",
    async ({ project, play }) => {
      const store = join(project, "node_modules", ".pnpm");
      const own = join(store, "tokenkeep@0.1.0", "node_modules");
      const platform = join(store, `${native}@0.1.0`, "node_modules");
      privileged("mkdir", "-p", own, platform);
      privileged("mv", join(project, "node_modules", "tokenkeep"), own);
      privileged("mv", join(project, "node_modules", native), platform);
      privileged(
        "ln",
        "-s",
        ".pnpm/tokenkeep@0.1.0/node_modules/tokenkeep",
        join(project, "node_modules", "tokenkeep"),
      );
      privileged("ln", "-s", `../../${native}@0.1.0/node_modules/${native}`, join(own, native));
      privileged("chown", "-hR", `${ADA}:${ADA}`, join(project, "node_modules"));
      return play();
    },
  ],
  [
    "a package in the folder of another, whose addon is further up",
    async ({ project, play }) => {
      const inner = join(project, "node_modules", "other", "node_modules", "@azure");
      privileged("mkdir", "-p", inner);
      privileged("mv", join(project, "node_modules", "tokenkeep"), join(inner, "msal-node-extensions"));
      write(
        project,
        "main.js",
        PROGRAM.replace('"tokenkeep"', '"./node_modules/other/node_modules/@azure/msal-node-extensions"'),
      );
      privileged("chown", "-R", `${ADA}:${ADA}`, project);
      return play();
    },
  ],
  [
    "the addon in a folder of packages of its own",
    async ({ project, place, play }) => {
      const own = join(project, "node_modules", "tokenkeep", "node_modules");
      privileged("mkdir", own);
      privileged("mv", place, own);
      privileged("chown", "-R", `${ADA}:${ADA}`, own);
      return play();
    },
  ],
  [
    "a program's folder that is a link",
    async ({ home, project, play }) => {
      symlinkSync(project, join(home, "link"));
      privileged("chown", "-h", `${ADA}:${ADA}`, join(home, "link"));
      return play({ file: join(home, "link", "main.js"), cwd: join(home, "link") });
    },
  ],
];

for (const [what, play] of USUAL) {
  test(`${what}: loaded`, async (t) => {
    assert.equal(await play(await world(t)), "content\n");
  });
}

test("TOKENKEEP_NATIVE_PATH is ignored, with a warning", async (t) => {
  const { home, place, play } = await world(t);
  write(home, "evil.cjs", 'console.log("EVIL"); exports.version = () => "0.1.0";');
  for (const file of [join(home, "evil.cjs"), join(place, addonFile())]) {
    const said = await play({ env: { TOKENKEEP_NATIVE_PATH: file } });
    assert.match(said, /^content\n/);
    assert.match(said, /TOKENKEEP_NATIVE_PATH is ignored/);
    assert.doesNotMatch(said, /EVIL/);
  }
});

test("Node's permission model: loaded with the rights that it needs, else the missing one is named", async (t) => {
  const { home, project, play } = await world(t);
  const permission = process.allowedNodeEnvironmentFlags.has("--permission")
    ? "--permission"
    : "--experimental-permission";
  // Both forms: as it was given, and without links.
  const reads = [...new Set([project, realpathSync(project)])].map((path) => `--allow-fs-read=${path}/*`);
  const rights = [permission, "--no-warnings", ...reads];
  assert.equal(
    await play({ args: [...rights, "--allow-addons", `--allow-fs-write=${home}/*`] }),
    "content\n",
  );
  assert.match(await play({ args: rights }), /^addon_unusable .*--allow-addons/);
  const without = reads.map((right) => right.replace("/*", "/main.js"));
  without.push(...reads.map((right) => right.replace("/*", "/node_modules/tokenkeep/*")));
  const said = await play({ args: [permission, "--no-warnings", "--allow-addons", ...without] });
  assert.match(said, /^addon_unusable .*--allow-fs-read=.*tokenkeep-/);
});

test("the broker's runtime is not taken from another user either", async (t) => {
  const { everybody, project, play } = await world(t);
  write(
    project,
    "main.js",
    `const { NativeBrokerPlugin } = require("tokenkeep");
     const plugin = new NativeBrokerPlugin();
     plugin.getAllAccounts("a", "b").catch((error) => console.log(plugin.isBrokerAvailable, error.message));`,
  );
  const runtime = join(everybody, "node_modules", "@azure", "msal-node-runtime");
  write(runtime, "index.js", 'console.log("EVIL"); exports.msalNodeRuntime = {};');
  privileged("chown", "-R", `${EVE}:${EVE}`, join(everybody, "node_modules"));
  const said = await play();
  assert.match(said, /^false .*msal-node-runtime .*is not loaded: .*belongs to user 1002/);
  assert.doesNotMatch(said, /EVIL/);
});

test("a command that is not installed is said to be missing", async (t) => {
  const { project, leaveOut } = await world(t);
  leaveOut();
  const command = join(project, "node_modules/tokenkeep/dist/command.js");
  await assert.rejects(output(process.execPath, [command, "list"], { cwd: project }), /is not installed/);
  assert.ok(!existsSync(join(project, "node_modules", native)));
});
