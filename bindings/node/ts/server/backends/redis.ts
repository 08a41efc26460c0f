// Redis and Valkey, through the client that the program has. One script compares and sets, on every server since Redis 2.6.
import { createHash } from "node:crypto";
import type { Backend, Finding, Swapped, Turn } from "../backend";
import { groupOf } from "../record";
import {
  type Commands,
  commandsOf,
  type GlideLike,
  type IoRedisLike,
  type NodeRedisLike,
} from "./redis-clients";
import { redisError } from "./redis-errors";
import { LOOKS, outrun } from "./removal";

export type { GlideLike, IoRedisLike, NodeRedisLike } from "./redis-clients";

/** A script, and the name under which a server remembers it. */
class Script {
  readonly sha: string;

  constructor(readonly text: string) {
    this.sha = createHash("sha1").update(text).digest("hex");
  }
}

// KEYS: the record, whose turn it is, and the set of the person's records for a record that belongs to one. ARGV: the expected revision, "" for none; the new record, "" to delete; its milliseconds to live;
// the writer; the milliseconds to reserve on a conflict.
const SWAP = new Script(`
local turn = redis.call('GET', KEYS[2])
if turn and turn ~= ARGV[4] then return 2 end
if redis.call('GETRANGE', KEYS[1], 8, 23) ~= ARGV[1] then
  if ARGV[5] ~= '0' then redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5]) end
  return redis.call('GET', KEYS[1]) or ''
end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
  if KEYS[3] then redis.call('SREM', KEYS[3], KEYS[1]) end
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  if KEYS[3] then
    redis.call('SADD', KEYS[3], KEYS[1])
    if redis.call('PTTL', KEYS[3]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[3], ARGV[3]) end
  end
end
if turn then redis.call('DEL', KEYS[2]) end
return 1`);

// KEYS: the lease. ARGV: its holder, its milliseconds to live.
const LEASE = new Script(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`);

const RELEASE = new Script(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`);

// KEYS: the record, the set of the records that belong to it. All are in one slot. Answers each name with its revision.
const FIND = new Script(`
local found = {}
local function look(name)
  if redis.call('EXISTS', name) == 0 then
    redis.call('SREM', KEYS[2], name)
  else
    found[#found + 1] = name
    found[#found + 1] = redis.call('GETRANGE', name, 8, 23)
  end
end
look(KEYS[1])
for _, name in ipairs(redis.call('SMEMBERS', KEYS[2])) do look(name) end
return found`);

// KEYS: the set, and records. ARGV: the revision of each record. A client may send this again, or late, after a sign-in.
const REMOVE = new Script(`
local removed = 0
for at = 2, #KEYS do
  if redis.call('GETRANGE', KEYS[at], 8, 23) == ARGV[at - 1] then
    removed = removed + redis.call('DEL', KEYS[at])
    redis.call('SREM', KEYS[1], KEYS[at])
  end
end
return removed`);

/** How many records one call of REMOVE takes. */
const AT_ONCE = 500;

/**
 * Keeps records in Redis or Valkey, through a connected client of `redis`, `ioredis`, `iovalkey` or `@valkey/valkey-glide`; also
 * those of a cluster. The client stays the program's: its address, its encryption, its reconnecting.
 *
 * ```js
 * const backend = redis(await createClient({ url: process.env.REDIS_URL }).connect());
 * ```
 *
 * @throws StoreError `wrong_client` where the argument is none of these.
 */
export function redis(client: NodeRedisLike | IoRedisLike | GlideLike): Backend {
  return new Redis(commandsOf(client));
}

class Redis implements Backend {
  constructor(private readonly commands: Commands) {}

  async read(name: string): Promise<Uint8Array | null> {
    return bytesOf(await this.send(name, true, ["GET", name]));
  }

  async swap(
    name: string,
    expect: Uint8Array | null,
    value: Uint8Array | null,
    ttl: number,
    turn: Turn,
  ): Promise<Swapped> {
    const empty = Buffer.alloc(0);
    const group = groupOf(name);
    const reply = await this.run(
      SWAP,
      group === undefined ? [name, `${name}:w`] : [name, `${name}:w`, `${group}:o`],
      [expect ?? empty, value ?? empty, String(Math.max(1, Math.ceil(ttl))), turn.id, String(turn.reserve)],
    );
    if (typeof reply === "number" || typeof reply === "bigint") {
      return Number(reply) === 1 ? { done: true } : { done: false, busy: true };
    }
    const current = bytesOf(reply);
    return { done: false, current: current === null || current.length === 0 ? null : current };
  }

  async remove(names: readonly string[], signal: AbortSignal): Promise<number> {
    let removed = 0;
    for (const name of names) {
      for (let look = 0; ; look++) {
        const found = (await this.run(FIND, [name, `${name}:o`], [])) as unknown[];
        if (found.length === 0) {
          break;
        }
        if (look === LOOKS) {
          throw outrun();
        }
        for (let at = 0; at < found.length; at += 2 * AT_ONCE) {
          // After the caller's time is over, a new sign-in of the user is not removed.
          signal.throwIfAborted();
          const some = found.slice(at, at + 2 * AT_ONCE);
          const records = some.filter((_, index) => index % 2 === 0).map(textOf);
          const revisions = some
            .filter((_, index) => index % 2 === 1)
            .map((word) => bytesOf(word) as Uint8Array);
          removed += Number(await this.run(REMOVE, [`${name}:o`, ...records], revisions));
        }
      }
    }
    return removed;
  }

  async lease(name: string, id: string, ttl: number): Promise<boolean> {
    return Number(await this.run(LEASE, [name], [id, String(ttl)])) === 1;
  }

  async release(name: string, id: string): Promise<void> {
    await this.run(RELEASE, [name], [id]);
  }

  async *scan(prefix: string): AsyncIterable<string> {
    const pattern = `${prefix.replace(/[\\*?[\]]/g, "\\$&")}*`;
    for (const send of await this.commands.masters()) {
      let cursor = "0";
      do {
        const [next, names] = (await translated(
          send(["SCAN", cursor, "MATCH", pattern, "COUNT", "500"]),
        )) as [unknown, unknown[]];
        cursor = textOf(next);
        yield* names.map(textOf);
      } while (cursor !== "0");
    }
  }

  async check(): Promise<Finding[]> {
    const findings: Finding[] = [];
    for (const send of await this.commands.masters()) {
      const info = textOf(await translated(send(["INFO"])));
      const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1];
      const policy = field("maxmemory_policy");
      if (policy?.startsWith("allkeys-")) {
        findings.push({
          id: "evicts-sign-ins",
          level: "warning",
          message:
            `The server removes any record when its memory is full (maxmemory-policy ${policy}), which signs people out. ` +
            "Set maxmemory-policy to volatile-ttl or noeviction",
        });
      }
      if (field("aof_enabled") === "0" && field("rdb_last_save_time") !== undefined) {
        findings.push({
          id: "restart-loses-writes",
          level: "note",
          message:
            "The server does not log its writes (appendonly no), so that a restart loses the latest sign-ins. Set appendonly to yes",
        });
      }
      if (field("role") === "slave") {
        findings.push({
          id: "replica",
          level: "error",
          message: "The client is connected to a replica, which takes no writes. Connect it to the master",
        });
      }
    }
    return findings;
  }

  /** Runs a script by its name; a server that does not know it is told. */
  private async run(script: Script, keys: string[], values: (string | Uint8Array)[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...values];
    const first = keys[0] as string;
    try {
      return await this.send(first, false, ["EVALSHA", script.sha, ...rest]);
    } catch (error) {
      // GLIDE has a name of its own for it.
      if (!/NOSCRIPT|NoScriptError/.test(String((error as { cause?: Error }).cause?.message))) {
        throw error;
      }
      return this.send(first, false, ["EVAL", script.text, ...rest]);
    }
  }

  private send(key: string, isRead: boolean, words: (string | Uint8Array)[]): Promise<unknown> {
    return translated(this.commands.send(key, isRead, words));
  }
}

async function translated<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply;
  } catch (error) {
    throw redisError(error);
  }
}

function bytesOf(reply: unknown): Uint8Array | null {
  if (reply === null || reply === undefined) {
    return null;
  }
  return typeof reply === "string" ? Buffer.from(reply) : (reply as Uint8Array);
}

function textOf(reply: unknown): string {
  return typeof reply === "string" ? reply : Buffer.from(reply as Uint8Array).toString("utf8");
}
