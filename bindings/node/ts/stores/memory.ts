// A cache in the memory of this process: nothing on disk, nothing shared, nothing kept.
import { requireContents, textOf, wrongArgument } from "../arguments";
import { programTime } from "../clock";
import { writeHeld } from "../handle/held";
import { Lock } from "../handle/lock";
import { lockLimit } from "../lock-options";
import { CallbackLogger, type Logger, type LoggerOptions } from "../logger";
import type { IPersistence, PersistenceInfo } from "../types";
import { VERSION } from "../version";
import { KIN, type Kin, type Memory } from "./kin";
import { recordClass } from "./untouched";

let count = 0;

/**
 * Keeps the cache in this process's memory, for programs that may not write anything: it is gone with the process, and
 * no other process sees it. Plugins and clients that are given the same object share it.
 *
 * ```js
 * const cachePlugin = new PersistenceCachePlugin(new MemoryPersistence());
 * ```
 */
export class MemoryPersistence implements IPersistence {
  /** @internal */
  declare readonly own: Memory;

  private readonly logger: Logger;
  private readonly name: string;

  constructor(loggerOptions?: LoggerOptions) {
    this.logger = new CallbackLogger(loggerOptions);
    count += 1;
    const name = `memory:${process.pid}-${count}`;
    this.name = name;
    let lock: Lock | undefined;
    // Not enumerable: printing a persistence must not show tokens.
    const own: Memory = {
      // Not before it is taken: without the addon there is no lock, which is for the call that needs it to say.
      get lock() {
        lock ??= Lock.within(name);
        return lock;
      },
      content: null,
      modified: 0,
      listeners: new Set(),
    };
    Object.defineProperty(this, "own", { value: own });
  }

  /** An empty cache. There is nothing to prepare: this is for symmetry with the other persistences. */
  static async create(loggerOptions?: LoggerOptions): Promise<MemoryPersistence> {
    return new MemoryPersistence(loggerOptions);
  }

  async save(contents: string): Promise<void> {
    const checked = requireContents("contents", contents);
    const text = typeof checked === "string" ? checked : textOf(checked);
    if (text === undefined) {
      throw wrongArgument("contents", "a string, or text in UTF-8", contents);
    }
    await this.locked(() => this.set(text), text);
  }

  /** What was saved last; `null` when there is nothing. */
  async load(): Promise<string | null> {
    return this.own.content;
  }

  async delete(): Promise<boolean> {
    return this.locked(() => {
      const deleted = this.own.content !== null;
      if (deleted) {
        this.set(null);
      } else {
        this.logger.warning("There is no cache in memory to delete", "");
      }
      return deleted;
    });
  }

  async reloadNecessary(lastSync: number): Promise<boolean> {
    return lastSync < this.own.modified;
  }

  /** A name for logs, which is no path: there is no file, and no lock file either. */
  getFilePath(): string {
    return this.name;
  }

  /** The logger of this persistence. */
  getLogger(): Logger {
    return this.logger;
  }

  /** There is nothing that could fail. */
  async verifyPersistence(): Promise<boolean> {
    return true;
  }

  async createForPersistenceValidation(): Promise<MemoryPersistence> {
    return new MemoryPersistence();
  }

  async info(): Promise<PersistenceInfo> {
    return {
      backend: "memory",
      protection: "memory",
      survivesReboot: false,
      location: `process ${process.pid}`,
      // There is no "after a crash" in which anything could be whole.
      crashSafe: false,
    };
  }

  /** @internal */
  [KIN](): Kin {
    const { own, name } = this;
    return {
      version: VERSION,
      native: () => undefined,
      lock: () => own.lock,
      memory: own,
      place: () => name,
    };
  }

  private set(text: string | null): void {
    this.own.content = text;
    // Clocks stand still for a millisecond, and may be set back.
    this.own.modified = Math.max(programTime(), this.own.modified) + 1;
    for (const listener of this.own.listeners) {
      listener();
    }
  }

  private async locked<T>(action: () => T, text?: string): Promise<T> {
    return writeHeld(
      this.name,
      async (held) => {
        if (held !== 0) {
          return action();
        }
        const hold = await this.own.lock.acquire(lockLimit());
        try {
          return action();
        } finally {
          await this.own.lock.release(hold);
        }
      },
      text,
    );
  }
}

recordClass(MemoryPersistence);
