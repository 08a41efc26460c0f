/**
 * Who can decrypt a file that Windows' Data Protection API encrypted: programs of the current user, or every program on
 * the machine.
 */
export const DataProtectionScope = {
  CurrentUser: "CurrentUser",
  LocalMachine: "LocalMachine",
} as const;

export type DataProtectionScope = (typeof DataProtectionScope)[keyof typeof DataProtectionScope];
