// @ts-check
/** Describes the machine that was measured, without names that identify it. */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { arch, cpus, release, totalmem } from "node:os";

export function machine() {
  const [{ model }] = cpus();
  const scratch = process.env.TOKENKEEP_BENCH_SCRATCH ?? ".";
  // Cells that write no file have not made it.
  mkdirSync(scratch, { recursive: true });
  const fileSystem = execFileSync("stat", ["--file-system", "--format=%T", scratch], {
    encoding: "utf8",
  }).trim();
  return {
    processor: model.trim(),
    processors: cpus().length,
    architecture: arch(),
    memoryGB: Math.round(totalmem() / (1 << 30)),
    kernel: release(),
    fileSystem,
    node: process.version,
  };
}
