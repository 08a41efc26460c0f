// @ts-check
/**
 * Scratch directories: one for each test, removed at its end.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * The part of a test that a resource needs: a hook for its own end.
 *
 * @typedef {{ after(end: () => unknown): void }} Scope
 */

/**
 * Creates a directory of mode 0700, removed when the scope ends.
 *
 * @param {Scope} scope
 */
export async function scratchDirectory(scope) {
  // Short, because the path of a Unix socket inside it has at most 107 bytes.
  const path = await mkdtemp(join(tmpdir(), "tk-"));
  scope.after(() => rm(path, { recursive: true, force: true, maxRetries: 3 }));
  return path;
}
