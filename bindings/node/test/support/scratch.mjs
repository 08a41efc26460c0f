// @ts-check
/**
 * Scratch directories: one per test, private to it, gone when it ends.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * What every resource here needs of a test: a place to hang its own end.
 *
 * @typedef {{ after(end: () => unknown): void }} Scope
 */

/**
 * A new directory, mode 0700, removed when the scope ends.
 *
 * @param {Scope} scope
 */
export async function scratchDirectory(scope) {
  // Short, because a Unix socket path inside it may not pass 107 bytes.
  const path = await mkdtemp(join(tmpdir(), "tk-"));
  scope.after(() => rm(path, { recursive: true, force: true, maxRetries: 3 }));
  return path;
}
