// The platforms that have a package with a prebuilt addon, and how a bundle hands over the one it holds.
import { VERSION } from "../version";

/** Every platform with a package, which is called `tokenkeep-` and this. */
export const PLATFORMS = [
  "linux-x64-gnu",
  "linux-x64-musl",
  "linux-arm64-gnu",
  "linux-arm64-musl",
  "darwin-x64",
  "darwin-arm64",
  "win32-x64-msvc",
  "win32-arm64-msvc",
  // Built by a release, and not run by it.
  "linux-arm-gnu",
  "linux-riscv64-gnu",
  "linux-s390x-gnu",
  "linux-ppc64-gnu",
  "freebsd-x64",
] as const;

export type Platform = (typeof PLATFORMS)[number];

export function isPlatform(name: string): name is Platform {
  return (PLATFORMS as readonly string[]).includes(name);
}

/**
 * The global in which `tokenkeep/embed` leaves a bundle's addon. Global, because the loader may be in another file; by version,
 * because one process may hold several programs, each with its own.
 */
export const EMBEDDED = Symbol.for(`tokenkeep.embedded.${VERSION}`);

/**
 * Loads the addon of a platform; `undefined` if the bundle has none.
 *
 * @throws the errors of loading a binary.
 */
export type Embedded = (platform: Platform) => unknown;
