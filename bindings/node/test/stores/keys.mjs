// @ts-check
/** A key of every type in its store, and the result of `info()` for it. */
import { randomBytes } from "node:crypto";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { output } from "../support/processes.mjs";

const KERNEL_KEY = fileURLToPath(new URL("../support/kernel-key.py", import.meta.url));

export const PASSPHRASE = "correct horse battery staple, for tests";

/** The first bytes of every encrypted file. */
export const MAGIC = Buffer.from("\x89TKS\r\n\x1a\n", "latin1");

/**
 * Writes a key file that only its owner can read.
 *
 * @param {string} directory @param {string} [name]
 */
export async function keyFile(directory, name = "key") {
  const path = join(directory, name);
  await writeFile(path, randomBytes(32).toString("base64"));
  await chmod(path, 0o600);
  return path;
}

/** Returns a name in the kernel's keyring that no other test uses; its key is removed with the scope. @param {import("../support/scratch.mjs").Scope} scope */
export function kernelKeyName(scope) {
  const name = `test-${randomBytes(8).toString("hex")}`;
  scope.after(() => removeKernelKey(name));
  return name;
}

/** Removes a key from the kernel, like a restart. @param {string} name */
export async function removeKernelKey(name) {
  return (await output("python3", [KERNEL_KEY, "remove", name])).trim() === "removed";
}

/**
 * Returns every type of key that structured clone can pass to another process, with the variables for that process.
 *
 * @param {import("../support/scratch.mjs").Scope} scope
 * @param {string} directory
 */
export async function everyKey(scope, directory) {
  const inEnvironment = randomBytes(32).toString("hex");
  return [
    {
      name: "keyFile",
      key: { type: "keyFile", path: await keyFile(directory) },
      env: {},
      info: { protection: "keyFile", survivesReboot: true },
    },
    {
      name: "environment",
      key: { type: "environment", environmentVariable: "TOKENKEEP_TEST_KEY" },
      env: { TOKENKEEP_TEST_KEY: inEnvironment },
      info: { protection: "keyFile", survivesReboot: true },
    },
    {
      name: "passphrase",
      key: { type: "passphrase", passphrase: PASSPHRASE },
      env: {},
      info: { protection: "passphrase", survivesReboot: true },
    },
    {
      name: "passphrase in the environment",
      key: { type: "passphrase", environmentVariable: "TOKENKEEP_TEST_PASSPHRASE" },
      env: { TOKENKEEP_TEST_PASSPHRASE: PASSPHRASE },
      info: { protection: "passphrase", survivesReboot: true },
    },
    {
      name: "kernelKeyring",
      key: { type: "kernelKeyring", name: kernelKeyName(scope) },
      env: {},
      info: { protection: "untilReboot", survivesReboot: false },
    },
  ];
}
