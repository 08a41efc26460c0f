// The plugin's state for one client, that is for one `tokenCache` object. Several clients may share a plugin, and
// each has seen something else of the store.
import { monotonic } from "../clock";
import type { SerializableTokenCache } from "../msal-types";
import type { Hold, Store } from "./store";

/** How long a client may sit between `before` and `after`; as long as Rust lets it keep the lock. */
const WINDOW_LIMIT = 10_000;

/** The time between a `before` that announced a change and its `after`. */
export interface Window {
  readonly hold: Hold;
  /** The client's cache content at the beginning of the window. */
  readonly base: string;
  /** By `monotonic()`. */
  readonly openedAt: number;
  /** Whether something else touched the client's memory, so that what is missing in it need not be a sign-out. */
  disturbed: boolean;
}

/** msal-node's in-memory entries, by key. Other clients have no such thing. */
interface KeyValueStore {
  getKVStore?(): Record<string, unknown>;
}

export class Client {
  /** The commit under way, which a read waits for so that a client sees its own writes. */
  committing: Promise<unknown> | undefined;

  private window: Window | undefined;
  private store: Store | undefined;
  private generation: number | undefined;
  // Keys that went from the store to the client or back. If such a key is missing in the store, another program removed
  // the entry. A key that was never exchanged is the client's alone.
  private exchanged: Set<string> = new Set();
  private fed = false;

  constructor(private readonly memory: SerializableTokenCache) {}

  /** Whether entries can be removed from the client's memory, which takes their keys. */
  get wantsKeys(): boolean {
    return typeof (this.memory as KeyValueStore).getKVStore === "function";
  }

  /** The generation of `store` that this client deserialized last; `undefined` for none that counts. */
  generationOf(store: Store): number | undefined {
    return this.store === store ? this.generation : undefined;
  }

  /** After a failure the client's content is unknown, so that the next access gives it the store's content again. */
  forget(): void {
    this.generation = undefined;
  }

  openWindow(hold: Hold, base: string): Window {
    this.disturb();
    this.window = { hold, base, openedAt: monotonic(), disturbed: false };
    return this.window;
  }

  closeWindow(window: Window): void {
    if (this.window === window) {
      this.window = undefined;
    }
  }

  /** Marks an open window; returns whether there is one that must not be touched. */
  disturb(): boolean {
    if (this.window === undefined) {
      return false;
    }
    this.window.disturbed = true;
    if (monotonic() - this.window.openedAt < WINDOW_LIMIT) {
      return true;
    }
    // Its end never came. It must not keep this client from reading for ever.
    this.window = undefined;
    return false;
  }

  /**
   * Gives the client the store's content, and removes from it the entries that the store no longer has.
   *
   * @throws the errors of the client's `deserialize`; the client is then unchanged or empty.
   */
  adopt(store: Store, generation: number, content: string | null, keys: readonly string[] | null): void {
    if (content) {
      this.feed(content);
    } else if (this.fed) {
      // Without this, the client would go on merging with the content it was given last.
      this.feed("{}");
    }
    this.drop(new Set(keys));
    this.store = store;
    this.generation = generation;
  }

  /** Empties the client as far as it was ever fed, because the store's content is of no use. */
  adoptNothing(store: Store, generation: number): void {
    this.fed = true;
    this.adopt(store, generation, null, null);
  }

  /** Notes keys that the client handed to the store. */
  exchange(keys: Iterable<string>): void {
    for (const key of keys) {
      this.exchanged.add(key);
    }
  }

  private feed(content: string): void {
    this.fed = true;
    // A client's parser refuses the mark that some programs put in front.
    this.memory.deserialize(content.startsWith("\uFEFF") ? content.slice(1) : content);
  }

  private drop(present: Set<string>): void {
    const entries = (this.memory as KeyValueStore).getKVStore?.();
    if (entries !== undefined) {
      for (const key of this.exchanged) {
        if (!present.has(key)) {
          delete entries[key];
        }
      }
    }
    this.exchanged = present;
  }
}
