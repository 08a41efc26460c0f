// PostgreSQL, through a pool of the package `pg`: one table, for records, leases and nothing else.
import type { Backend, Finding, Swapped } from "../backend";
import { groupOf, revisionOf } from "../record";
import { StoreError, type StoreErrorCode } from "../store-error";
import { LOOKS, outrun } from "./removal";

/** The part of a client of `pg` that is used here. */
export interface PostgresClientLike {
  /** Runs a statement with its parameters. */
  query(
    text: string,
    values?: unknown[],
  ): Promise<{
    /** The rows of the answer. */
    rows: unknown[];
    /** The number of rows that were returned or changed. */
    rowCount: number | null;
  }>;
}

/** The part of a pool of `pg` that is used here. */
export interface PostgresPoolLike extends PostgresClientLike {
  /** Takes a connection out of the pool. */
  connect(): Promise<
    PostgresClientLike & {
      /** Gives the connection back; with an error, it is closed. */
      release(error?: unknown): void;
    }
  >;
}

/** Options of {@link postgres}. */
export interface PostgresOptions {
  /** The name of the table, with its schema if need be. Default: `tokenkeep_record`. */
  readonly table?: string;
  /** Create the table at the first use. Default: false; `check()` shows the statements. */
  readonly migrate?: boolean;
}

/** One write in so many removes what has expired. */
const SWEEP = 500;

/**
 * Keeps records in PostgreSQL, through a pool of the package `pg`.
 *
 * ```js
 * const backend = postgres(new pg.Pool(), { migrate: true });
 * ```
 *
 * @throws StoreError `wrong_client` where the argument is no pool, `invalid_input` for another table name than letters,
 * digits and underscores.
 */
export function postgres(pool: PostgresPoolLike, options: PostgresOptions = {}): Backend {
  const { table = "tokenkeep_record", migrate = false } = options;
  if (typeof pool?.query !== "function" || typeof pool.connect !== "function") {
    throw new StoreError(
      "wrong_client",
      "postgres() needs a pool of the package pg, with query() and connect()",
    );
  }
  if (!/^\w+(\.\w+)?$/.test(table)) {
    throw new StoreError(
      "invalid_input",
      `"table" has letters, digits and underscores, not ${JSON.stringify(table)}`,
    );
  }
  return new Postgres(pool, table, migrate);
}

class Postgres implements Backend {
  private created: Promise<unknown> | undefined;

  constructor(
    private readonly pool: PostgresPoolLike,
    private readonly table: string,
    private readonly migrate: boolean,
  ) {}

  async read(name: string): Promise<Uint8Array | null> {
    const text = `SELECT value FROM ${this.table} WHERE name = $1 AND expires_at > now()`;
    return ((await this.query(text, [name])).rows as { value: Buffer }[])[0]?.value ?? null;
  }

  async swap(
    name: string,
    expect: Uint8Array | null,
    value: Uint8Array | null,
    ttl: number,
  ): Promise<Swapped> {
    const { text, values } = this.change(name, expect, value, ttl);
    if ((await this.query(text, values)).rowCount) {
      // The write is acknowledged without waiting for the removal of expired records.
      void this.sweep();
      return { done: true };
    }
    const current = await this.read(name);
    return value === null && current === null ? { done: true } : { done: false, current };
  }

  /** The row lock is a fair queue, which attempts without one are not. */
  async exclusively(
    name: string,
    change: (current: Uint8Array | null) => { value: Uint8Array | null; ttl: number } | undefined,
  ): Promise<void> {
    await this.ready();
    const client = await translated(this.pool.connect());
    let failure: unknown;
    try {
      await translated(client.query("BEGIN"));
      const lock = `SELECT value, expires_at > now() AS lives FROM ${this.table} WHERE name = $1 FOR UPDATE`;
      const [row] = (await translated(client.query(lock, [name]))).rows as {
        value: Buffer;
        lives: boolean;
      }[];
      const next = change(row?.lives ? row.value : null);
      if (next !== undefined) {
        const found = row === undefined ? null : revisionOf(row.value);
        const { text, values } = this.change(name, found, next.value, next.ttl);
        const done = (await translated(client.query(text, values))).rowCount;
        if (!done && next.value !== null) {
          throw new StoreError("conflict", "Another server made the record at this moment. Try again");
        }
      }
      await translated(client.query("COMMIT"));
    } catch (error) {
      failure = error;
      await client.query("ROLLBACK").catch(() => {});
      throw error;
    } finally {
      client.release(failure instanceof StoreError && failure.retryable ? failure : undefined);
    }
  }

  async remove(names: readonly string[], signal: AbortSignal): Promise<number> {
    const find = `SELECT name, revision FROM ${this.table} WHERE (name = ANY($1) OR grp = ANY($1)) AND lease IS NULL`;
    // A statement that waited for a lock deletes no record that was written meanwhile; the next look finds that record.
    const text =
      `DELETE FROM ${this.table} AS held USING unnest($1::text[], $2::bytea[]) AS old(name, revision) ` +
      "WHERE held.name = old.name AND held.revision = old.revision";
    let removed = 0;
    for (let look = 0; ; look++) {
      const rows = (await this.query(find, [names])).rows as { name: string; revision: Buffer }[];
      if (rows.length === 0) {
        return removed;
      }
      if (look === LOOKS) {
        throw outrun();
      }
      signal.throwIfAborted();
      const values = [rows.map(({ name }) => name), rows.map(({ revision }) => revision)];
      removed += (await this.query(text, values)).rowCount ?? 0;
    }
  }

  async lease(name: string, id: string, ttl: number): Promise<boolean> {
    const text =
      `INSERT INTO ${this.table} AS held (name, revision, value, expires_at, lease) ` +
      "VALUES ($1, '', '', now() + $3 * interval '1 millisecond', $2) " +
      "ON CONFLICT (name) DO UPDATE SET lease = excluded.lease, expires_at = excluded.expires_at " +
      "WHERE held.lease = excluded.lease OR held.expires_at <= now()";
    return (await this.query(text, [name, id, ttl])).rowCount === 1;
  }

  async release(name: string, id: string): Promise<void> {
    await this.query(`DELETE FROM ${this.table} WHERE name = $1 AND lease = $2`, [name, id]);
  }

  async *scan(prefix: string): AsyncIterable<string> {
    let last = "";
    for (;;) {
      const text =
        `SELECT name FROM ${this.table} WHERE name > $1 AND starts_with(name, $2) AND lease IS NULL ` +
        'AND expires_at > now() ORDER BY name COLLATE "C" LIMIT 1000';
      const { rows } = await this.query(text.replace("name > $1", 'name COLLATE "C" > $1'), [last, prefix]);
      const names = rows.map((row) => (row as { name: string }).name);
      yield* names;
      if (names.length < 1000) {
        return;
      }
      last = names.at(-1) as string;
    }
  }

  async check(): Promise<Finding[]> {
    const { rows } = await this.query(
      "SELECT pg_is_in_recovery() AS replica, current_setting('synchronous_commit') AS commits",
    );
    const [{ replica, commits }] = rows as [{ replica: boolean; commits: string }];
    const findings: Finding[] = [];
    if (replica) {
      findings.push({
        id: "replica",
        level: "error",
        message: "The pool is connected to a replica, which takes no writes",
      });
    }
    if (commits === "off") {
      findings.push({
        id: "restart-loses-writes",
        level: "note",
        message: "The database acknowledges writes before they are on its disk (synchronous_commit off)",
      });
    }
    return findings;
  }

  /** The statement of a conditional write. */
  private change(
    name: string,
    expect: Uint8Array | null,
    value: Uint8Array | null,
    ttl: number,
  ): { text: string; values: unknown[] } {
    if (value === null) {
      return {
        text: `DELETE FROM ${this.table} WHERE name = $1 AND revision = $2`,
        values: [name, expect ?? ""],
      };
    }
    const values = [name, value, revisionOf(value), ttl, groupOf(name) ?? null];
    if (expect === null) {
      const text =
        `INSERT INTO ${this.table} AS held (name, value, revision, expires_at, grp) ` +
        "VALUES ($1, $2, $3, now() + $4 * interval '1 millisecond', $5) ON CONFLICT (name) DO UPDATE " +
        "SET value = excluded.value, revision = excluded.revision, expires_at = excluded.expires_at " +
        "WHERE held.expires_at <= now()";
      return { text, values };
    }
    const text =
      `UPDATE ${this.table} SET value = $2, revision = $3, expires_at = now() + $4 * interval '1 millisecond', grp = $5 ` +
      "WHERE name = $1 AND revision = $6";
    return { text, values: [...values, expect] };
  }

  private async sweep(): Promise<void> {
    if (Math.random() * SWEEP < 1) {
      const old = `SELECT name FROM ${this.table} WHERE expires_at < now() LIMIT 1000 FOR UPDATE SKIP LOCKED`;
      // A later write removes the rest, also after a failure.
      await this.query(`DELETE FROM ${this.table} WHERE name IN (${old})`, []).catch(() => {});
    }
  }

  private async query(
    text: string,
    values: unknown[] = [],
  ): Promise<{ rows: unknown[]; rowCount: number | null }> {
    await this.ready();
    try {
      return await translated(this.pool.query(text, values));
    } catch (error) {
      if (error instanceof StoreError && (error.cause as { code?: string })?.code === "42P01") {
        throw new StoreError(
          "unsupported",
          `The table ${this.table} does not exist. Create it, or give postgres() the option migrate: ${statements(this.table).join("; ")}`,
          { cause: error.cause },
        );
      }
      throw error;
    }
  }

  private async ready(): Promise<void> {
    if (this.migrate) {
      this.created ??= this.create().catch((error) => {
        this.created = undefined;
        throw error;
      });
      await this.created;
    }
  }

  private async create(): Promise<void> {
    // Two servers that start at once must not both create it.
    const lock = "SELECT pg_advisory_xact_lock(7823659012)";
    const text = ["BEGIN", lock, ...statements(this.table), "COMMIT"].join("; ");
    await translated(this.pool.query(text));
  }
}

function statements(table: string): string[] {
  const index = table.replace(".", "_");
  return [
    `CREATE TABLE IF NOT EXISTS ${table} (name text PRIMARY KEY, revision bytea NOT NULL, value bytea NOT NULL, ` +
      "expires_at timestamptz NOT NULL, grp text, lease text) WITH (fillfactor = 70)",
    `CREATE INDEX IF NOT EXISTS ${index}_expiry ON ${table} (expires_at)`,
    `CREATE INDEX IF NOT EXISTS ${index}_group ON ${table} (grp) WHERE grp IS NOT NULL`,
  ];
}

/** SQLSTATE codes: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const ANSWERS: readonly (readonly [RegExp, StoreErrorCode, string])[] = [
  [/^25006$/, "read_only", "The database takes no writes: it is a replica, or set to read only"],
  [/^53[12]00$/, "out_of_memory", "The disk or the memory of the database is full"],
  [/^28/, "unauthorized", "The database refuses the user name or password of this pool"],
  [/^42501$/, "unauthorized", "The database does not allow this user to use the table of the records"],
  [/^42/, "unsupported", "The table of the records is not as this release needs it"],
  [/^22|^23/, "invalid_input", "The database refuses a value of the store"],
];

async function translated<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply;
  } catch (cause) {
    if (cause instanceof StoreError) {
      throw cause;
    }
    const code = String((cause as { code?: unknown }).code ?? "");
    const [, known, message] = ANSWERS.find(([pattern]) => pattern.test(code)) ?? [
      code,
      "unavailable" as const,
      "The database cannot be reached through its pool. Check that it is up and that the pool can connect",
    ];
    throw new StoreError(known, `${message}${code === "" ? "" : ` (${code})`}`, { cause });
  }
}
