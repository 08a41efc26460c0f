// The interface between the cache plugin and a store.
import type { DataProtectionScope } from "./data-protection-scope";
import type { Logger, LoggerOptions } from "./logger";

/** A place that keeps one token cache. Programs may bring their own. */
export interface IPersistence {
  /** Replaces what is stored. */
  save(contents: string): Promise<void>;
  /** Returns the stored content; `null` if there is none. */
  load(): Promise<string | null>;
  /** Removes what is stored; `false` when nothing was. */
  delete(): Promise<boolean>;
  /** Whether the store changed after `lastSync`, in milliseconds since the epoch. */
  reloadNecessary(lastSync: number): Promise<boolean>;
  /** The cache file, or the marker file of a keystore item. The lock stands beside it. */
  getFilePath(): string;
  /** The logger of this persistence. */
  getLogger(): Logger;
  /** Resolves to `true` when a probe could be written, read back and removed; rejects otherwise. */
  verifyPersistence(): Promise<boolean>;
  /** A persistence of the same kind under a name of its own, to try things out on. */
  createForPersistenceValidation(): Promise<IPersistence>;
  /** The kind of this store. Every persistence of this package has it; others may. */
  info?(): Promise<PersistenceInfo>;
}

/** The kind of a store and how well it is protected. */
export interface PersistenceInfo {
  /** The kind of store. */
  backend:
    | "plaintextFile"
    | "encryptedFile"
    | "dpapiFile"
    | "keychain"
    | "secretService"
    | "memory"
    | "custom";
  /**
   * What a program needs to read the content: to run as the signed-in user, through the operating system's keystore
   * (`osUser`); the passphrase; to run as the user before the machine restarts, because the key is in the kernel's memory
   * (`untilReboot`); the operator's key; only the file (`plaintext`); to be this process (`memory`).
   */
  protection:
    | "osUser"
    | "osMachine"
    | "passphrase"
    | "untilReboot"
    | "keyFile"
    | "plaintext"
    | "memory"
    | "unknown";
  /** Whether the content is still there after a restart of the machine. */
  survivesReboot: boolean;
  /** The file; the keystore item as `service/account`; or the process whose memory it is. */
  location: string;
  /** Whether a crash in the middle of a write leaves the old or the new content whole. */
  crashSafe: boolean;
  /** `false` where the file system has no permissions that keep other users out of the file: FAT, many network shares. */
  ownerOnly?: false;
}

/**
 * Whether an acknowledged write of a file has reached the disk (`synced`), or the operating system's memory (`cached`),
 * from where it survives the process but not a loss of power.
 */
export type Durability = "synced" | "cached";

/** The configuration of {@link PersistenceCreator}. The required fields depend on the platform. */
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
   * The stores to try, in this order, if the platform's own store does not work. Default: none. They come before the
   * plaintext file of `usePlaintextFileOnLinux`.
   */
  fallback?: readonly Fallback[];
  /** The receiver of log messages. Default: none. */
  loggerOptions?: LoggerOptions;
  /** Of a plaintext file: whether its writes wait for the disk. Default `synced`. */
  durability?: Durability;
}

/**
 * A store to try where the platform's own does not work.
 *
 * | `type` | the cache is | protected by |
 * | --- | --- | --- |
 * | `encryptedFile` | the file at `cachePath`, encrypted | its key |
 * | `plaintextFile` | the file at `cachePath`, not encrypted | its mode, 0600, alone |
 * | `memory` | in this process, and gone with it | being nowhere else |
 */
export type Fallback = EncryptedFileFallback | PlaintextFileFallback | MemoryFallback;

/** An encrypted file. */
export interface EncryptedFileFallback {
  /** The kind of store. */
  readonly type: "encryptedFile";
  /** The source of its key. */
  readonly key: EncryptionKey;
}

/** A plaintext file of mode 0600. */
export interface PlaintextFileFallback {
  /** The kind of store. */
  readonly type: "plaintextFile";
}

/** The memory of this process. */
export interface MemoryFallback {
  /** The kind of store. */
  readonly type: "memory";
}

/** A persistence that can say what it is. */
export type InformedPersistence = IPersistence & {
  /** The store in use, its protection and its place. */
  info(): Promise<PersistenceInfo>;
};

/**
 * The source of an encrypted file's key.
 *
 * | `type` | the key is | after a restart of the machine |
 * | --- | --- | --- |
 * | `keystore` | random, in one small item of the operating system's keystore | still there |
 * | `kernelKeyring` | random, in the kernel's memory (Linux) | gone, and the cache starts empty |
 * | `passphrase` | derived from a passphrase with Argon2id | asked for again |
 * | `portal` | that of a sandboxed program, kept by its desktop (Linux) | still there |
 * | `keyFile` | in a file that an operator provides, such as a mounted secret | still there |
 * | `environment` | in an environment variable that an operator provides | up to the operator |
 */
export type EncryptionKey =
  | KeystoreKey
  | KernelKeyringKey
  | PortalKey
  | PassphraseKey
  | PassphraseVariableKey
  | KeyFileKey
  | EnvironmentKey;

/** A random key in an item of the operating system's keystore, made at the first use. Caches may have any size. */
export interface KeystoreKey {
  /** The kind of source. */
  readonly type: "keystore";
  /** The item's service. */
  readonly serviceName: string;
  /** The item's account. The item must be another one than a cache's. */
  readonly accountName: string;
}

/** A random key that the Linux kernel keeps in memory for this user, until the machine restarts. */
export interface KernelKeyringKey {
  /** The kind of source. */
  readonly type: "kernelKeyring";
  /** The key's name. Default: the cache's `partition`. */
  readonly name?: string;
}

/**
 * A key from the secret that the portal of the desktop keeps for each sandboxed program. Every Flatpak may ask for it, also one
 * that may not talk to the keyring. Programs without a sandbox share one.
 */
export interface PortalKey {
  /** The kind of source. */
  readonly type: "portal";
}

/** A key derived from a passphrase, which is used exactly as it is given. */
export interface PassphraseKey {
  /** The kind of source. */
  readonly type: "passphrase";
  /**
   * The passphrase, or what asks for it. A function is called when the passphrase is needed, which is once per file and
   * process unless it was wrong, and never while the cache is locked. It has `promptTimeout` to answer.
   */
  readonly passphrase: string | (() => string | Promise<string>);
}

/** A key derived from the passphrase in an environment variable of this process. */
export interface PassphraseVariableKey {
  /** The kind of source. */
  readonly type: "passphrase";
  /** The variable's name. It is read when the passphrase is needed. */
  readonly environmentVariable: string;
}

/** A key in a file: 32 raw bytes, or 32 or more in hexadecimal or base64. Others must not be able to write the file. */
export interface KeyFileKey {
  /** The kind of source. */
  readonly type: "keyFile";
  /** The file. It is read each time the key is needed. */
  readonly path: string;
}

/** A key of 32 or more bytes, in hexadecimal or base64, in an environment variable of this process. */
export interface EnvironmentKey {
  /** The kind of source. */
  readonly type: "environment";
  /** The variable's name. It is read each time the key is needed. */
  readonly environmentVariable: string;
}

/**
 * Whether a locked keystore may show a prompt. `"auto"`: where there is a display to show it on (`DISPLAY` or
 * `WAYLAND_DISPLAY` is set; on macOS, unless the session came over ssh), so that a desktop unlocks its keyring and a server
 * fails at once. `true`: always. `false`: never.
 */
export type PromptPolicy = "auto" | boolean;

/** Whether and how long a call may ask the user. A call that does not ask takes at most five seconds. */
export interface PromptOptions {
  /** Default `"auto"`. */
  allowPrompt?: PromptPolicy;
  /** How long a person may take to answer, in milliseconds. Default 120000, two minutes. */
  promptTimeout?: number;
}
