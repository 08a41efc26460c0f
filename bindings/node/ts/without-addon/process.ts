// Whether the process that wrote a lock file is still the one that has its number.
import { readFileSync } from "node:fs";

/** Linux gives the start of a process in these; every kernel that Node runs on has 100 of them in a second. */
const TICKS_PER_SECOND = 100;

/** Both times are rounded, and a file system's clock may differ a little from the kernel's. */
const REUSED_MS = 2_000;

/** Whether a process with this number runs; one that is not ours counts as running. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
  // It has ended when only its parent does not know yet.
  return !["Z", "X"].includes(statOf(pid)?.[0] ?? "");
}

/** Whether the process with this number started after a file was written, so that it is not the one that wrote it. */
export function startedAfter(pid: number, writtenMs: number): boolean {
  const ticks = startTicks(pid);
  const boot = bootTime();
  if (ticks === undefined || boot === undefined) {
    return false;
  }
  return (boot + Number(ticks) / TICKS_PER_SECOND) * 1_000 > writtenMs + REUSED_MS;
}

/** When a process started, in ticks since the boot, as the core writes it into its lock files; Linux only. */
export function startTicks(pid: number): string | undefined {
  // Field 22; those before the state are not here.
  return statOf(pid)?.[19];
}

/** Changes with every boot of the machine; Linux only. */
export function bootId(): string | undefined {
  return read("/proc/sys/kernel/random/boot_id")?.trim();
}

function bootTime(): number | undefined {
  const seconds = read("/proc/stat")?.match(/^btime (\d+)$/m)?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

/** The fields of `/proc/<pid>/stat` from the state on: the name before it may hold anything. */
function statOf(pid: number): string[] | undefined {
  const text = read(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(")") + 2).split(" ");
}

function read(path: string): string | undefined {
  if (process.platform !== "linux") {
    return undefined;
  }
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Gone, or not shown to us: nothing is known.
    return undefined;
  }
}
