// Keys in a file, such as a mounted secret, that is replaced while the server runs.
import { readFileSync, statSync } from "node:fs";
import { monotonic } from "../../clock";
import { StoreError } from "../store-error";
import { type KeyRing, keysIn, type RecordKeys } from "./ring";

/** How often the file is looked at, in milliseconds. */
const LOOK = 60_000;

export function fromFile(path: string): KeyRing {
  return new FileRing(path);
}

class FileRing implements KeyRing {
  private keys: RecordKeys;
  private stamp: string;
  private lookedAt: number;

  constructor(private readonly path: string) {
    this.stamp = this.look();
    this.lookedAt = monotonic();
    this.keys = this.read();
  }

  current(): RecordKeys {
    if (monotonic() - this.lookedAt > LOOK) {
      this.reload();
    }
    return this.keys;
  }

  reload(): boolean {
    this.lookedAt = monotonic();
    try {
      const stamp = this.look();
      if (stamp === this.stamp) {
        return false;
      }
      this.keys = this.read();
      this.stamp = stamp;
      return true;
    } catch (error) {
      if (error instanceof StoreError && error.code === "invalid_input") {
        throw error;
      }
      // In the moment in which a secret is replaced there is no file; the keys of before are good until the next look.
      return false;
    }
  }

  /** Kubernetes replaces a link in the path, so that another file has the name. */
  private look(): string {
    try {
      const { ino, size, mtimeMs, ctimeMs } = statSync(this.path);
      return [ino, size, mtimeMs, ctimeMs].join(" ");
    } catch (cause) {
      throw this.unreadable(cause);
    }
  }

  private read(): RecordKeys {
    let text: string;
    try {
      text = readFileSync(this.path, "utf8");
    } catch (cause) {
      throw this.unreadable(cause);
    }
    const all = keysIn(text, `the key file ${this.path}`);
    return { sealing: all[0] as Uint8Array, all };
  }

  private unreadable(cause: unknown): StoreError {
    const why = (cause as NodeJS.ErrnoException).code ?? "it cannot be read";
    return new StoreError(
      "missing_key",
      `The key file ${this.path} cannot be read (${why}). Put a key there: openssl rand -base64 32 makes one`,
      { cause },
    );
  }
}
