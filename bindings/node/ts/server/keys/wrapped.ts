// Keys that the store makes itself. A key service (Key Vault, KMS, Vault) wraps them, and the database keeps them wrapped, under
// the same condition as every record: two servers never make two first keys.
import { builtin } from "../../builtin";
import { monotonic, systemTime } from "../../clock";
import { StoreError } from "../store-error";
import type { KeyRing, KeyShelf, RecordKeys } from "./ring";

const HOUR = 3_600_000;
/** How often the ring is read again, in milliseconds: more often than a new key begins to seal. */
const LOOK = HOUR / 2;
/** More attempts to save than servers start at once. */
const ATTEMPTS = 50;

/** Options of `keys.wrapped`. */
export interface WrappedKeyOptions {
  /** Wraps a key of 32 bytes, such as with `wrapKey` of Key Vault. Called once for each new key. */
  wrap(key: Uint8Array): Promise<Uint8Array>;
  /** Unwraps it again. Called once for each key when a server starts. */
  unwrap(wrapped: Uint8Array): Promise<Uint8Array>;
  /** The age at which a new key follows, in milliseconds. Default: 30 days. */
  readonly rotateAfter?: number;
  /** How long a new key only opens before it seals, so that every server knows it. Default: one hour. */
  readonly activateAfter?: number;
}

interface Entry {
  readonly id: string;
  /** Base64. */
  readonly wrapped: string;
  /** In milliseconds since 1970. */
  readonly made: number;
}

export function wrapped(options: WrappedKeyOptions): KeyRing {
  return new WrappedRing(options);
}

class WrappedRing implements KeyRing {
  private entries: readonly Entry[] = [];
  private readonly unwrapped = new Map<string, Uint8Array>();
  private lookedAt = Number.NEGATIVE_INFINITY;
  private loading: Promise<void> | undefined;

  constructor(private readonly options: WrappedKeyOptions) {}

  async current(shelf: KeyShelf): Promise<RecordKeys> {
    if (monotonic() - this.lookedAt > LOOK) {
      await this.refresh(shelf);
    }
    return this.chosen();
  }

  async reload(shelf: KeyShelf): Promise<boolean> {
    const before = this.entries.length;
    await this.refresh(shelf);
    return this.entries.length !== before;
  }

  /** The newest key that every server has had the time to read; the oldest where none is so old. */
  private chosen(): RecordKeys {
    const { activateAfter = HOUR } = this.options;
    const now = systemTime();
    const active =
      this.entries.filter((entry) => entry.made + activateAfter <= now).at(-1) ?? this.entries[0];
    const key = (entry: Entry) => this.unwrapped.get(entry.id) as Uint8Array;
    return { sealing: key(active as Entry), all: this.entries.map(key) };
  }

  private refresh(shelf: KeyShelf): Promise<void> {
    this.loading ??= this.load(shelf).finally(() => {
      this.loading = undefined;
    });
    return this.loading;
  }

  private async load(shelf: KeyShelf): Promise<void> {
    const { rotateAfter = 30 * 24 * HOUR } = this.options;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { text, revision } = await shelf.load();
      const entries = text === null ? [] : entriesOf(text);
      const newest = entries.at(-1);
      if (newest !== undefined && newest.made + rotateAfter > systemTime()) {
        await this.adopt(entries);
        return;
      }
      const next = [...entries, await this.make()];
      if (await shelf.save(JSON.stringify({ keys: next }), revision)) {
        await this.adopt(next);
        return;
      }
      // Another server was first; its key is ours.
    }
    throw new StoreError("conflict", "The ring of wrapped keys changes faster than it can be read");
  }

  private async make(): Promise<Entry> {
    const crypto = builtin("node:crypto");
    const key = crypto.randomBytes(32);
    const id = crypto.randomBytes(8).toString("hex");
    const made = systemTime();
    const sealed = await answer("wrap", () => this.options.wrap(key));
    this.unwrapped.set(id, key);
    return { id, wrapped: Buffer.from(sealed).toString("base64"), made };
  }

  private async adopt(entries: readonly Entry[]): Promise<void> {
    for (const { id, wrapped } of entries) {
      if (!this.unwrapped.has(id)) {
        const key = await answer("unwrap", () => this.options.unwrap(Buffer.from(wrapped, "base64")));
        if (key.length !== 32) {
          throw new StoreError(
            "missing_key",
            "The key service unwrapped a key of another length than 32 bytes",
          );
        }
        this.unwrapped.set(id, Buffer.from(key));
      }
    }
    this.entries = entries;
    this.lookedAt = monotonic();
  }
}

async function answer(verb: string, ask: () => Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return await ask();
  } catch (cause) {
    throw new StoreError(
      "missing_key",
      `The key service did not ${verb} a key. Check that this server may use its key; nothing was written`,
      { cause },
    );
  }
}

function entriesOf(text: string): Entry[] {
  try {
    const { keys } = JSON.parse(text) as { keys: Entry[] };
    if (Array.isArray(keys)) {
      return keys;
    }
  } catch {
    // Told below.
  }
  throw new StoreError("damaged", "The ring of wrapped keys in the database is no list of keys");
}
