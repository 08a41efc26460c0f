// @ts-check
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../../support/processes.mjs";
import { subject } from "../../support/subject.mjs";
import { change, improve, keep } from "../row.mjs";

const TEST_FOLDER = fileURLToPath(new URL("../..", import.meta.url));
const MODULES = join(TEST_FOLDER, "node_modules");
// The newest compiler, ten times as fast as earlier ones. The stage `consumers` compiles ours with those.
const TSC = fileURLToPath(new URL("../../../node_modules/typescript/bin/tsc", import.meta.url));

/** A program that uses every export of the original. `PACKAGE` is replaced. */
const PROGRAM = `
import { PublicClientApplication, LogLevel, type Configuration, type ICachePlugin } from "@azure/msal-node";
import {
  DataProtectionScope, Environment, FilePersistence, FilePersistenceWithDataProtection, KeychainPersistence,
  LibSecretPersistence, PersistenceCachePlugin, PersistenceCreator,
  type CrossPlatformLockOptions, type IPersistence, type IPersistenceConfiguration,
} from "PACKAGE";

const scope: DataProtectionScope = DataProtectionScope.CurrentUser;
const configuration: IPersistenceConfiguration = {
  cachePath: Environment.getUserRootDirectory() + "/cache.json",
  dataProtectionScope: scope,
  serviceName: "service",
  accountName: "account",
  usePlaintextFileOnLinux: true,
  loggerOptions: { loggerCallback: (level: LogLevel, message: string) => console.log(level, message), logLevel: LogLevel.Info },
};
const lock: CrossPlatformLockOptions = { retryNumber: 5, retryDelay: 10 };

export async function main(): Promise<void> {
  const stores: IPersistence[] = [
    await PersistenceCreator.createPersistence(configuration),
    await FilePersistence.create("a"),
    await FilePersistenceWithDataProtection.create("a", scope, "entropy"),
    await KeychainPersistence.create("a", "service", "account"),
    await LibSecretPersistence.create("a", "service", "account"),
  ];
  for (const store of stores) {
    const content: string | null = await store.load();
    await store.save(content ?? "");
    const reload: boolean = await store.reloadNecessary(0);
    const gone: boolean = await store.delete();
    const path: string = store.getFilePath();
    store.getLogger().info(path, String(reload && gone));
    const plugin = new PersistenceCachePlugin(store, lock);
    plugin.lastSync = 0;
    plugin.currentCache = null;
    const face: ICachePlugin = plugin;
    const config: Configuration = { auth: { clientId: "id" }, cache: { cachePlugin: face } };
    new PublicClientApplication(config);
  }
}
`;

/**
 * Compiles a program against the package, in its own project.
 *
 * @param {string} dir
 * @param {{ source: string, type: "module" | "commonjs", module?: string, skipLibCheck?: boolean }} program
 */
async function compile(dir, { source, type, module = "nodenext", skipLibCheck = true }) {
  await mkdir(join(dir, "node_modules", "@azure"), { recursive: true });
  // The package's own msal-common if it has one: two copies give two incompatible Logger types.
  const own = join(MODULES, subject, "node_modules", "@azure", "msal-common");
  const common = existsSync(own) ? own : join(MODULES, "@azure", "msal-common");
  await symlink(common, join(dir, "node_modules", "@azure", "msal-common"));
  for (const name of ["@azure/msal-node", "@types", subject]) {
    await symlink(join(MODULES, name), join(dir, "node_modules", name));
  }
  await writeFile(join(dir, "package.json"), JSON.stringify({ type }));
  await writeFile(join(dir, "main.ts"), source.replaceAll("PACKAGE", subject));
  const options = ["--noEmit", "--strict", "--module", module, "--target", "es2022", "--types", "node"];
  const { code, stdout } = await run(
    process.execPath,
    [TSC, ...options, "--skipLibCheck", `${skipLibCheck}`, "main.ts"],
    {
      cwd: dir,
    },
  );
  return { compiles: code === 0, output: stdout };
}

keep("types", "a program over the whole face compiles as an ES module", async (_, { dir }) => {
  const { compiles, output } = await compile(dir, { source: PROGRAM, type: "module" });
  assert.ok(compiles, output);
});

/** A CommonJS program of this package alone, with the checks of libraries on, which msal-node's own types do not pass. */
const COMMONJS = `
import { FilePersistence, Environment } from "PACKAGE";
export const open = (): Promise<FilePersistence> => FilePersistence.create(String(Environment.getUserRootDirectory()));
`;

improve("types", "a CommonJS program compiles under node16 with skipLibCheck off", {
  async original(_, { dir }) {
    const { compiles, output } = await compile(dir, {
      source: COMMONJS,
      type: "commonjs",
      module: "node16",
      skipLibCheck: false,
    });
    assert.equal(compiles, false);
    assert.match(output, /TS1479/);
  },
  async ours(_, { dir }) {
    const { compiles, output } = await compile(dir, {
      source: COMMONJS,
      type: "commonjs",
      module: "node16",
      skipLibCheck: false,
    });
    assert.ok(compiles, output);
  },
});

const MSAL_LOGGER = `
import type { Logger } from "@azure/msal-common/node";
import type { IPersistence } from "PACKAGE";
export const loggerOf = (store: IPersistence): Logger => store.getLogger();
`;

change("types", "the logger is an interface of ours, not msal-common's class", {
  async original(_, { dir }) {
    const { compiles, output } = await compile(dir, { source: MSAL_LOGGER, type: "module" });
    assert.ok(compiles, output);
  },
  async ours(_, { dir }) {
    const { compiles, output } = await compile(dir, { source: MSAL_LOGGER, type: "module" });
    assert.equal(compiles, false);
    assert.match(output, /Logger/);
  },
});

/** A program's own store with msal's Logger, as written for the original. */
const OWN_STORE = `
import { Logger } from "@azure/msal-common/node";
import { PersistenceCachePlugin, type IPersistence } from "PACKAGE";
export class Memory implements IPersistence {
  private content: string | null = null;
  async save(contents: string): Promise<void> { this.content = contents; }
  async load(): Promise<string | null> { return this.content; }
  async delete(): Promise<boolean> { this.content = null; return true; }
  async reloadNecessary(_lastSync: number): Promise<boolean> { return true; }
  getFilePath(): string { return "memory"; }
  getLogger(): Logger { return new Logger({}); }
  async verifyPersistence(): Promise<boolean> { return true; }
  async createForPersistenceValidation(): Promise<IPersistence> { return new Memory(); }
}
export const plugin = new PersistenceCachePlugin(new Memory());
`;

keep("types", "a program's own IPersistence with msal's Logger compiles", async (_, { dir }) => {
  const { compiles, output } = await compile(dir, { source: OWN_STORE, type: "module" });
  assert.ok(compiles, output);
});

const INFO = `
import { PersistenceCreator } from "PACKAGE";
export const protectionOf = async (): Promise<string> =>
  (await (await PersistenceCreator.createPersistence({ cachePath: "a" })).info()).protection;
`;

improve("types", "what the creator gives has info()", {
  async original(_, { dir }) {
    const { compiles, output } = await compile(dir, { source: INFO, type: "module" });
    assert.equal(compiles, false);
    assert.match(output, /info/);
  },
  async ours(_, { dir }) {
    const { compiles, output } = await compile(dir, { source: INFO, type: "module" });
    assert.ok(compiles, output);
  },
});
