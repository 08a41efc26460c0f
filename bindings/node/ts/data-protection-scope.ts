/**
 * The programs that can decrypt a file of Windows' Data Protection API: those of the current user, or all on the machine.
 */
export const DataProtectionScope = {
  CurrentUser: "CurrentUser",
  LocalMachine: "LocalMachine",
} as const;

export type DataProtectionScope = (typeof DataProtectionScope)[keyof typeof DataProtectionScope];
