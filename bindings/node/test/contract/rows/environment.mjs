// @ts-check
import assert from "node:assert/strict";
import { join } from "node:path";
import { keep, rejection } from "../row.mjs";

const NAMES = ["LOGNAME", "USER", "LNAME", "USERNAME"];
const VARIABLES = ["HOME", ...NAMES, "LOCALAPPDATA"];

/**
 * Sets exactly these of the variables Environment reads, until the test ends.
 *
 * @param {import("node:test").TestContext} t
 * @param {Record<string, string>} values
 */
function variables(t, values) {
  const before = Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]]));
  /** @param {Record<string, string | undefined>} wanted */
  const set = (wanted) => {
    for (const name of VARIABLES) {
      if (wanted[name] === undefined) {
        delete process.env[name];
      } else {
        process.env[name] = wanted[name];
      }
    }
  };
  t.after(() => set(before));
  set(values);
}

/** @param {import("node:test").TestContext} t @param {any} ext @param {string} platform @param {boolean} [root] */
function pretend(t, ext, platform, root = false) {
  t.mock.method(ext.Environment, "getEnvironmentPlatform", () => platform);
  t.mock.method(ext.Environment, "isLinuxRootUser", () => root);
}

keep("Environment", "has the statics of the original", (_, { ext: { Environment } }) => {
  const methods = [
    "getEnvironmentVariable",
    "getEnvironmentPlatform",
    "isWindowsPlatform",
    "isLinuxPlatform",
    "isMacPlatform",
    "isLinuxRootUser",
    "getUserRootDirectory",
    "getUserHomeDirOnWindows",
    "getUserHomeDirOnUnix",
  ];
  for (const method of methods) {
    assert.equal(typeof Environment[method], "function", method);
  }
});

keep("Environment", "variables: their value, or the empty string", (t, { ext: { Environment } }) => {
  variables(t, { HOME: "/home/ada", USER: "ada" });
  assert.equal(Environment.getEnvironmentVariable("HOME"), "/home/ada");
  assert.equal(Environment.getEnvironmentVariable("LOGNAME"), "");
  assert.deepEqual(
    [Environment.homeEnvVar, Environment.lognameEnvVar, Environment.userEnvVar],
    ["/home/ada", "", "ada"],
  );
  assert.deepEqual([Environment.lnameEnvVar, Environment.usernameEnvVar], ["", ""]);
});

keep("Environment", "the platform is Node's", (_, { ext: { Environment } }) => {
  assert.equal(Environment.getEnvironmentPlatform(), process.platform);
  assert.equal(Environment.isLinuxPlatform(), process.platform === "linux");
  assert.equal(Environment.isMacPlatform(), process.platform === "darwin");
  assert.equal(Environment.isWindowsPlatform(), process.platform === "win32");
});

keep("Environment", "isLinuxRootUser asks for the uid", (t, { ext: { Environment } }) => {
  t.mock.method(/** @type {any} */ (process), "getuid", () => 0);
  assert.equal(Environment.isLinuxRootUser(), true);
  t.mock.method(/** @type {any} */ (process), "getuid", () => 1000);
  assert.equal(Environment.isLinuxRootUser(), false);
});

keep("Environment", "the user's directory on Windows is LOCALAPPDATA, or empty", (t, { ext }) => {
  pretend(t, ext, "win32");
  variables(t, { LOCALAPPDATA: "C:\\Users\\ada\\AppData\\Local", HOME: "/home/ada" });
  assert.equal(ext.Environment.getUserRootDirectory(), "C:\\Users\\ada\\AppData\\Local");
  assert.equal(ext.Environment.getUserHomeDirOnWindows(), "C:\\Users\\ada\\AppData\\Local");
  variables(t, {});
  assert.equal(ext.Environment.getUserRootDirectory(), "");
});

keep("Environment", "on Unix HOME comes first", (t, { ext }) => {
  for (const platform of ["linux", "darwin"]) {
    pretend(t, ext, platform, true);
    variables(t, { HOME: "/somewhere", LOGNAME: "ada" });
    assert.equal(ext.Environment.getUserRootDirectory(), "/somewhere");
    t.mock.restoreAll();
  }
});

keep(
  "Environment",
  "without HOME, the first of LOGNAME, USER, LNAME, USERNAME names the directory",
  (t, { ext }) => {
    for (const [platform, parent] of /** @type {const} */ ([
      ["linux", "/home"],
      ["darwin", "/Users"],
    ])) {
      pretend(t, ext, platform);
      for (const [index, name] of NAMES.entries()) {
        const later = Object.fromEntries(NAMES.slice(index + 1).map((other) => [other, "somebody-else"]));
        variables(t, { ...later, [name]: "ada" });
        assert.equal(ext.Environment.getUserRootDirectory(), join(parent, "ada"), `${platform} ${name}`);
      }
      t.mock.restoreAll();
    }
  },
);

keep("Environment", "with nothing to go by it is null, and /root for root on Linux", (t, { ext }) => {
  variables(t, {});
  for (const platform of ["linux", "darwin"]) {
    pretend(t, ext, platform);
    assert.equal(ext.Environment.getUserRootDirectory(), null);
    t.mock.restoreAll();
  }
  pretend(t, ext, "linux", true);
  assert.equal(ext.Environment.getUserRootDirectory(), "/root");
});

keep("Environment", "elsewhere, and for Unix on Windows, it is a NotSupportedError", async (t, { ext }) => {
  variables(t, {});
  for (const platform of ["plan9", "win32"]) {
    pretend(t, ext, platform);
    const error = await rejection(async () => ext.Environment.getUserHomeDirOnUnix());
    assert.equal(error.name, "PersistenceError");
    assert.equal(error.errorCode, "NotSupportedError");
    t.mock.restoreAll();
  }
});
