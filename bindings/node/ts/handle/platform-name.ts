// Node's name of the platform that this process runs on.
import { existsSync, readFileSync } from "node:fs";

/** musl's names of the processors that Node names otherwise. */
const MUSL_NAMES: Readonly<Record<string, string>> = {
  x64: "x86_64",
  arm64: "aarch64",
  arm: "armhf",
  ppc64: "powerpc64le",
};

/** Node's name of the platform, on Linux and Windows with the C library. */
export function platformName(): string {
  const { platform, arch } = process;
  if (platform === "linux") {
    // The addon for arm has instructions that a processor of version 6 does not know.
    const variables = process.config?.variables as { arm_version?: string } | undefined;
    const old = arch === "arm" && Number(variables?.arm_version) < 7;
    return `linux-${old ? "armv6" : arch}-${usesMusl(arch) ? "musl" : "gnu"}`;
  }
  return platform === "win32" ? `win32-${arch}-msvc` : `${platform}-${arch}`;
}

/** A process that runs on musl has musl's loader; where both are installed, its memory shows the library. */
function usesMusl(arch: string): boolean {
  try {
    if (!existsSync(`/lib/ld-musl-${MUSL_NAMES[arch] ?? arch}.so.1`)) {
      return false;
    }
    const maps = readFileSync("/proc/self/maps", "utf8");
    // As the files are really called: musl's loader is its library, glibc's was `libc-2.33.so` and older once.
    if (maps.includes("/ld-musl-") || maps.includes("-musl/libc.so")) {
      return true;
    }
    if (maps.includes("/libc.so.6") || maps.includes("/libc-2.")) {
      return false;
    }
  } catch {
    // No such file system here, or no right to look: Node's report tells as well.
  }
  return reportsMusl();
}

/** By Node's report, which takes longer than everything else here. */
function reportsMusl(): boolean {
  const { report } = process;
  if (report === undefined) {
    return true;
  }
  // Without the network part, which would resolve host names.
  const { excludeNetwork } = report as { excludeNetwork?: boolean };
  (report as { excludeNetwork?: boolean }).excludeNetwork = true;
  try {
    const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
    return header?.glibcVersionRuntime === undefined;
  } finally {
    (report as { excludeNetwork?: boolean }).excludeNetwork = excludeNetwork;
  }
}
