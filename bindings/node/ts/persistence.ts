// The contract between the cache plugin and whatever keeps the cache.
import type { DataProtectionScope } from "./data-protection-scope";
import type { Fallback } from "./fallback";
import type { Logger, LoggerOptions } from "./logger";
import type { PromptOptions } from "./prompting";

/** A place that keeps one token cache. Programs may bring their own. */
export interface IPersistence {
  /** Replaces what is stored. */
  save(contents: string): Promise<void>;
  /** What is stored; `null` when there is nothing. */
  load(): Promise<string | null>;
  /** Removes what is stored; `false` when nothing was. */
  delete(): Promise<boolean>;
  /** Whether the store changed after `lastSync`, in milliseconds since the epoch. */
  reloadNecessary(lastSync: number): Promise<boolean>;
  /** The cache file, or the marker file of a keystore item. The lock stands beside it. */
  getFilePath(): string;
  getLogger(): Logger;
  /** Resolves to `true` when a probe could be written, read back and removed; rejects otherwise. */
  verifyPersistence(): Promise<boolean>;
  /** A persistence of the same kind under a name of its own, to try things out on. */
  createForPersistenceValidation(): Promise<IPersistence>;
  /** What kind of place this is. Every persistence of this package has it; others may. */
  info?(): Promise<PersistenceInfo>;
}

/** Where a cache is kept and how well it is protected. */
export interface PersistenceInfo {
  /** The kind of store. */
  backend:
    | "plaintext-file"
    | "encrypted-file"
    | "dpapi-file"
    | "keychain"
    | "secret-service"
    | "memory"
    | "custom";
  /**
   * What it takes to read the content: to be the signed-in user's program, by way of the operating system's keystore
   * (`os-user`); to know the passphrase; to be the user's program before the machine restarts, the key being in the
   * kernel's memory (`until-reboot`); to have the operator's key; nothing but the file (`plaintext`); to be in this
   * process (`memory`).
   */
  protection:
    | "os-user"
    | "os-machine"
    | "passphrase"
    | "until-reboot"
    | "key-file"
    | "plaintext"
    | "memory"
    | "unknown";
  /** Whether the content is still there after a restart of the machine. */
  survivesReboot: boolean;
  /** The file; the keystore item as `service/account`; or the process whose memory it is. */
  location: string;
  /** Whether a crash in the middle of a write leaves the old or the new content whole. */
  crashSafe: boolean;
}

/**
 * Whether an acknowledged write of a file has reached the disk (`synced`), or the operating system's memory (`cached`),
 * from where it survives the process but not a loss of power.
 */
export type Durability = "synced" | "cached";

/** What {@link PersistenceCreator} needs to know. Which fields are required depends on the platform. */
export interface IPersistenceConfiguration extends PromptOptions {
  /** The cache file, or on macOS and Linux the marker file beside the keystore item. Required. */
  cachePath?: string;
  /** Windows: who can decrypt the file. Required there. */
  dataProtectionScope?: DataProtectionScope;
  /** macOS and Linux: the keystore item's service. Required there. */
  serviceName?: string;
  /** macOS and Linux: the keystore item's account. Required there. */
  accountName?: string;
  /** Linux: fall back to a plaintext file (mode 0600) when no keystore works. Off unless set. */
  usePlaintextFileOnLinux?: boolean;
  /**
   * What to try, in this order, where the platform's own store does not work. Default: nothing. Before a plaintext file
   * that `usePlaintextFileOnLinux` asks for.
   */
  fallback?: readonly Fallback[];
  loggerOptions?: LoggerOptions;
  /** Of a plaintext file: whether its writes wait for the disk. Default `synced`. */
  durability?: Durability;
}
