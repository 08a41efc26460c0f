// The token store of a server: plugins for each kind of partition, and what an operator asks for.
import { builtin } from "../builtin";
import { systemTime } from "../clock";
import type { CachePlugin } from "../msal-types";
import { Access, type Outage, SignInAccess } from "./access";
import type { Backend, Finding } from "./backend";
import type { KeyRing } from "./keys/ring";
import { Level1 } from "./l1";
import { checked, type Lifetimes } from "./lifetime";
import { headerOf, keyIdOf, openNamed, type Partition, reseal, revisionOf } from "./record";
import { pause, Records } from "./records";
import type { StoreEvent } from "./signals";
import { isStoreError, StoreError } from "./store-error";

/** Memory near by, for tokens that no sign-out ends. */
export interface Level1Options {
  /** How old a record may be, in milliseconds. Default: 30 s. */
  readonly maxStale?: number;
  /** Default: 32 MB. */
  readonly maxBytes?: number;
  /** The kinds that use it. Default: `app` and `obo`. A user's sign-out elsewhere is then seen after `maxStale` at most. */
  readonly kinds?: readonly string[];
}

/** What happens when the database does not answer, by kind. */
export interface OutageRules {
  /** Default: `error`, because an outage is no sign-out. */
  readonly user?: Outage;
  /** Default: `bypass`: the service is asked, and results stay in memory, sealed. */
  readonly obo?: Outage;
  /** Default: `bypass`. */
  readonly app?: Outage;
}

/** Options of a {@link TokenStore}. */
export interface TokenStoreOptions {
  /** The database: `redis(client)`, `postgres(pool)`, `memory()`, or one of the program's own. */
  readonly backend: Backend;
  /** The keys that seal the records. */
  readonly keys: KeyRing;
  /** The name of the application, which its records begin with: small letters, digits and hyphens, at most 32. */
  readonly app: string;
  /** The lifetimes of records. Default: 90 days with a refresh token, at most 180 days. */
  readonly lifetime?: Lifetimes;
  /** The rules for a database that does not answer. */
  readonly outage?: OutageRules;
  /** `false`: none. */
  readonly l1?: Level1Options | false;
  /** How long the database may take for one answer, in milliseconds. Default: one second. */
  readonly timeout?: number;
  /** The longest record, in bytes. Default: 512 KB. */
  readonly maxRecord?: number;
  /** `discard`: records of unknown keys count as absent, after a key was lost. Default: `error`. */
  readonly onUnknownKey?: "error" | "discard";
  /** Called with what is worth telling although the call went on. */
  readonly onEvent?: (event: StoreEvent) => void;
}

/** A record, as far as it shows without its content. */
export interface RecordInfo {
  /** The kind of the partition, such as `user`. */
  readonly kind: string;
  /** The size of the record. */
  readonly bytes: number;
  /** The time of its last write. */
  readonly written: Date;
  /** The time after which it counts as absent. */
  readonly expires: Date;
  /** Hexadecimal. */
  readonly keyId: string;
  /** The home account ids in it, where asked for. */
  readonly accounts?: readonly string[];
}

/** The result of {@link TokenStore.rekey}. */
export interface RekeyReport {
  /** Records that are sealed with the first key now, and were not before. */
  readonly rekeyed: number;
  /** Records that had it already. */
  readonly current: number;
  /** Records that could not be opened, or changed meanwhile, and stay as they are. */
  readonly left: number;
}

/** The records behind a store, for this package's own parts. */
const inside = new WeakMap<TokenStore, Records>();

export function recordsOf(store: TokenStore): Records {
  const records = inside.get(store);
  if (records === undefined) {
    throw new StoreError("invalid_input", "The store is not a TokenStore of this package");
  }
  return records;
}

/**
 * Keeps the tokens of an application on several servers in the database that they share. Records are sealed, replaced only by
 * those who have read them, and expire.
 *
 * ```js
 * const store = new TokenStore({ app: "shop", backend: redis(client), keys: keys.fromEnvironment("TOKENKEEP_KEYS") });
 * ```
 */
export class TokenStore {
  private readonly outage: OutageRules;

  /** @throws StoreError `invalid_input` for options that cannot work. */
  constructor(options: TokenStoreOptions) {
    const { app, backend, keys, l1, onEvent, outage = {} } = options;
    if (!/^[a-z0-9-]{1,32}$/.test(app ?? "")) {
      throw new StoreError(
        "invalid_input",
        `"app" names the application with small letters, digits and hyphens, at most 32; it is ${JSON.stringify(app)}`,
      );
    }
    if (typeof backend?.swap !== "function" || typeof keys?.current !== "function") {
      const missing = typeof backend?.swap === "function" ? '"keys"' : '"backend"';
      throw new StoreError("invalid_input", `A TokenStore needs ${missing}: see docs/server.md`);
    }
    const { maxStale = 30_000, maxBytes = 32 << 20, kinds = ["app", "obo"] } = l1 || {};
    const level1 = l1 === false ? undefined : new Level1(maxStale, maxBytes);
    this.outage = outage;
    inside.set(
      this,
      new Records({
        backend,
        keys,
        prefix: `tk:${app}`,
        lifetimes: checked(options.lifetime ?? {}),
        timeout: options.timeout ?? 1_000,
        maxRecord: options.maxRecord ?? 512 << 10,
        discardUnknown: options.onUnknownKey === "discard",
        level1: (kind) => (kinds.includes(kind) ? level1 : undefined),
        tell: (event) => onEvent?.(event),
      }),
    );
  }

  /**
   * The plugin of a signed-in user, for one client per request. With `expected`, the event `vanished` tells that
   * nothing is stored.
   */
  user(homeAccountId: string, options: { expected?: boolean } = {}): CachePlugin {
    return this.plugin(recordsOf(this).place("user", homeAccountId), options.expected);
  }

  /** The plugin of a first sign-in: its tokens go to the record of the account that comes. */
  signIn(): CachePlugin {
    return new SignInAccess(recordsOf(this));
  }

  /** The plugin of one call on behalf of a user. */
  onBehalfOf(assertion: string): CachePlugin {
    return this.plugin(recordsOf(this).place("obo", assertionHash(assertion), callerOf(assertion)));
  }

  /** The plugin of the app's own tokens in a tenant. */
  app(clientId: string, tenantId: string): CachePlugin {
    return this.plugin(recordsOf(this).place("app", clientId, tenantId));
  }

  /** The plugin of a kind of the program's own, such as a session. It takes every entry. */
  partition(kind: string, text: string): CachePlugin {
    return this.plugin(recordsOf(this).place(kind, text));
  }

  /** What happens to this kind when the database does not answer. */
  outageOf(kind: string): Outage {
    const defaults: Record<string, Outage> = { obo: "bypass", app: "bypass" };
    return (this.outage as Record<string, Outage | undefined>)[kind] ?? defaults[kind] ?? "error";
  }

  /** Removes everything that is stored for a person: the tokens of sign-ins and of calls on behalf. */
  async erase(homeAccountId: string): Promise<{
    /** The number of records that were removed. */
    removed: number;
  }> {
    const records = recordsOf(this);
    const { name } = records.place("user", homeAccountId);
    records.options.level1("user")?.delete(name);
    const removed = await records.guard.run((signal) => records.backend.remove([name], signal));
    return { removed };
  }

  /** Every record of the application. With `accounts`, each is opened, and tells whose tokens it holds. */
  async *list(options: { accounts?: boolean } = {}): AsyncIterable<RecordInfo> {
    const records = recordsOf(this);
    for await (const { name, bytes } of this.each()) {
      const header = headerOf(bytes);
      if (header === undefined) {
        continue;
      }
      const { kind, keyId } = header;
      const shown = {
        kind,
        bytes: bytes.length,
        written: new Date(header.written),
        expires: new Date(header.expires),
        keyId,
      };
      if (!options.accounts || kind === "key") {
        yield shown;
        continue;
      }
      const { all } = await records.keys();
      const cache = JSON.parse(openNamed(name, all, bytes)) as {
        Account?: Record<string, { home_account_id?: string }>;
      };
      const accounts = Object.values(cache.Account ?? {}).map((account) => account.home_account_id ?? "");
      yield { ...shown, accounts: [...new Set(accounts)] };
    }
  }

  /** Seals every record with the first key of the ring. Records that are written meanwhile stay as they are. */
  async rekey(options: { perSecond?: number; signal?: AbortSignal } = {}): Promise<RekeyReport> {
    const records = recordsOf(this);
    const report = { rekeyed: 0, current: 0, left: 0 };
    for await (const { name, bytes } of this.each()) {
      options.signal?.throwIfAborted();
      const { sealing, all } = await records.keys();
      const header = headerOf(bytes);
      if (header?.kind === "key") {
        continue;
      }
      if (header?.keyId === keyIdOf(sealing)) {
        report.current += 1;
        continue;
      }
      const done =
        header !== undefined && (await this.rekeyed(records, name, all, sealing, bytes, header.expires));
      report[done ? "rekeyed" : "left"] += 1;
      if (options.perSecond !== undefined) {
        await pause(1_000 / options.perSecond);
      }
    }
    return report;
  }

  /**
   * What an operator should know about the database, worst first. It does what the store does (keys, read, write, lease) with a
   * record of its own, so that a right that is missing shows before the first sign-in.
   */
  async check(): Promise<Finding[]> {
    const records = recordsOf(this);
    const { backend, guard } = records;
    const findings: Finding[] = [];
    const steps = [
      () => records.tryOut(),
      async () => findings.push(...((await guard.run(() => backend.check?.() ?? Promise.resolve([]))) ?? [])),
    ];
    for (const step of steps) {
      try {
        await step();
      } catch (error) {
        if (!isStoreError(error)) {
          throw error;
        }
        const id = error.code.replaceAll("_", "-");
        if (findings.every((finding) => finding.id !== id)) {
          findings.push({ id, level: "error", message: error.message });
        }
      }
    }
    const order = ["error", "warning", "note", "ok"];
    return findings.sort((one, two) => order.indexOf(one.level) - order.indexOf(two.level));
  }

  private plugin(place: Partition, expected?: boolean): CachePlugin {
    return new Access(recordsOf(this), place, { expected, outage: this.outageOf(place.kind) });
  }

  private async *each(): AsyncIterable<{ name: string; bytes: Uint8Array }> {
    const records = recordsOf(this);
    const { backend, prefix } = records.options;
    if (backend.scan === undefined) {
      throw new StoreError("unsupported", "This backend cannot list its records: it has no method scan");
    }
    // Leases, turns, groups and copies of damaged records have longer names.
    const isRecord = /^[^{]*\{[\w-]{27}\}(:a:[\w-]{27})?$/;
    for await (const name of backend.scan(`${prefix}:`)) {
      const bytes = isRecord.test(name) ? await records.raw(name) : null;
      if (bytes !== null) {
        yield { name, bytes };
      }
    }
  }

  private async rekeyed(
    records: Records,
    name: string,
    all: readonly Uint8Array[],
    sealing: Uint8Array,
    bytes: Uint8Array,
    expires: number,
  ): Promise<boolean> {
    let value: Buffer;
    try {
      value = reseal(name, all, sealing, bytes);
    } catch (error) {
      if (isStoreError(error)) {
        return false;
      }
      throw error;
    }
    const ttl = expires - systemTime();
    const turn = { id: "", reserve: 0 };
    const swap = (signal: AbortSignal) =>
      records.backend.swap(name, revisionOf(bytes), value, ttl, turn, signal);
    return ttl > 0 && (await records.guard.run(swap)).done;
  }
}

/** msal-node's hash of an assertion. */
export function assertionHash(assertion: string): string {
  if (typeof assertion !== "string" || assertion === "") {
    throw new StoreError("no_partition", "A call on behalf of a user needs its assertion", {
      partitionKind: "obo",
    });
  }
  return builtin("node:crypto").createHash("sha256").update(assertion).digest("base64url");
}

/** The home account id of the caller, by the claims of the assertion, which the program has validated. */
export function callerOf(assertion: string): string | undefined {
  try {
    const [, payload = ""] = assertion.split(".");
    const { oid, sub, tid } = JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as Record<
      string,
      unknown
    >;
    const person = oid ?? sub;
    return typeof person === "string" && typeof tid === "string" && person && tid
      ? `${person}.${tid}`
      : undefined;
  } catch {
    // An assertion of another form names no user; its hash alone names the record.
    return undefined;
  }
}
