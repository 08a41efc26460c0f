// The SHA-256 of each platform's addon and command, by which they are known before they are loaded. The packages are released
// together: packing them writes this file anew. In a checkout it is empty.

/** Of one platform, in hexadecimal. */
export interface Native {
  readonly addon: string;
  /** Absent where the platform's package has no command. */
  readonly command?: string;
}

export const NATIVES: Readonly<Record<string, Native>> = {};
