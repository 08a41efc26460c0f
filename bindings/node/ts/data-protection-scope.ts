/**
 * The programs that can decrypt a file of Windows' Data Protection API: those of the current user, or all on the machine.
 */
export const DataProtectionScope = {
  /** Programs of this user on this machine can decrypt. The default. */
  CurrentUser: "CurrentUser",
  /** All programs on this machine that can read the file can decrypt. */
  LocalMachine: "LocalMachine",
} as const;

export type DataProtectionScope = (typeof DataProtectionScope)[keyof typeof DataProtectionScope];
