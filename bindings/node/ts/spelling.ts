// From the core's words, which are those of its command and files, to JavaScript's spelling.
import type { InfoReply } from "./face";
import type { PersistenceInfo } from "./types";

/** `plaintext-file` and `set_aside` as `plaintextFile` and `setAside`. */
export function camelCase(word: string): string {
  return word.replace(/[-_](\w)/g, (_, letter: string) => letter.toUpperCase());
}

export function infoOf(reply: InfoReply): PersistenceInfo {
  const { backend, protection, ...rest } = reply;
  return { backend: camelCase(backend), protection: camelCase(protection), ...rest } as PersistenceInfo;
}
