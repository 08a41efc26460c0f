// Imported once, anywhere in a program that is bundled into one file (`bun build --compile`, or esbuild with a loader for
// `.node` files), so that the bundler sees the binary by a literal name. The packages of other platforms are not
// installed: each is required for itself, within a `try`, which is how bundlers are told to leave out what they do not find.
import { EMBEDDED, type Embedded, type Platform } from "./handle/platforms";

const ADDONS: Record<Platform, () => unknown> = {
  "linux-x64-gnu": () => {
    try {
      return require("tokenkeep-linux-x64-gnu");
    } catch (error) {
      return absent(error);
    }
  },
  "linux-x64-musl": () => {
    try {
      return require("tokenkeep-linux-x64-musl");
    } catch (error) {
      return absent(error);
    }
  },
  "linux-arm64-gnu": () => {
    try {
      return require("tokenkeep-linux-arm64-gnu");
    } catch (error) {
      return absent(error);
    }
  },
  "linux-arm64-musl": () => {
    try {
      return require("tokenkeep-linux-arm64-musl");
    } catch (error) {
      return absent(error);
    }
  },
  "darwin-x64": () => {
    try {
      return require("tokenkeep-darwin-x64");
    } catch (error) {
      return absent(error);
    }
  },
  "darwin-arm64": () => {
    try {
      return require("tokenkeep-darwin-arm64");
    } catch (error) {
      return absent(error);
    }
  },
  "win32-x64-msvc": () => {
    try {
      return require("tokenkeep-win32-x64-msvc");
    } catch (error) {
      return absent(error);
    }
  },
  "win32-arm64-msvc": () => {
    try {
      return require("tokenkeep-win32-arm64-msvc");
    } catch (error) {
      return absent(error);
    }
  },
  "linux-arm-gnu": () => {
    try {
      return require("tokenkeep-linux-arm-gnu");
    } catch (error) {
      return absent(error);
    }
  },
  "linux-riscv64-gnu": () => {
    try {
      return require("tokenkeep-linux-riscv64-gnu");
    } catch (error) {
      return absent(error);
    }
  },
  "linux-s390x-gnu": () => {
    try {
      return require("tokenkeep-linux-s390x-gnu");
    } catch (error) {
      return absent(error);
    }
  },
  "linux-ppc64-gnu": () => {
    try {
      return require("tokenkeep-linux-ppc64-gnu");
    } catch (error) {
      return absent(error);
    }
  },
  "freebsd-x64": () => {
    try {
      return require("tokenkeep-freebsd-x64");
    } catch (error) {
      return absent(error);
    }
  },
};

const embedded: Embedded = (platform) => ADDONS[platform]();
Object.defineProperty(globalThis, EMBEDDED, { value: embedded, configurable: true });

/** Not in the bundle is an answer; there but broken is an error. */
function absent(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") {
    throw error;
  }
}
