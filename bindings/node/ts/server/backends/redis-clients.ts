// One way to send a command, whichever client the program has. Types are structural: no client is a dependency.
import { StoreError } from "../store-error";

type Word = string | Uint8Array;

/** A client of the package `redis`, version 4 to 6: `createClient()` or `createCluster()`, connected. */
export interface NodeRedisLike {
  /** Sends a command. */
  sendCommand(...words: unknown[]): Promise<unknown>;
}

/** A client of the package `ioredis` or `iovalkey`: `new Redis()` or `new Cluster()`. */
export interface IoRedisLike {
  /** Sends a command; texts in its answer are bytes. */
  callBuffer(command: string, ...words: unknown[]): Promise<unknown>;
}

/** A client of the package `@valkey/valkey-glide`. */
export interface GlideLike {
  /** Sends a command. */
  customCommand(words: unknown[], options?: unknown): Promise<unknown>;
}

export type Send = (words: Word[]) => Promise<unknown>;

/** The commands of a client. Texts in answers are bytes. */
export interface Commands {
  /** Sends a command about `key`. */
  send(key: string, isRead: boolean, words: Word[]): Promise<unknown>;
  /** A way to each master, for commands about a whole server. */
  masters(): Promise<Send[]>;
}

export function commandsOf(client: NodeRedisLike | IoRedisLike | GlideLike): Commands {
  if (hasMethod(client, "callBuffer")) {
    return ofIoRedis(client as IoRedisLike);
  }
  if (hasMethod(client, "customCommand")) {
    return ofGlide(client as GlideLike);
  }
  if (hasMethod(client, "sendCommand")) {
    return hasMethod(client, "nodeClient")
      ? ofNodeRedisCluster(client as NodeCluster)
      : ofNodeRedis(client as NodeRedisLike);
  }
  throw new StoreError(
    "wrong_client",
    "redis() needs a client of redis, ioredis, iovalkey or @valkey/valkey-glide: it looks for the method sendCommand, " +
      `callBuffer or customCommand, and found none on this ${client === null ? "null" : typeof client}`,
  );
}

function hasMethod(client: unknown, name: string): boolean {
  return typeof (client as Record<string, unknown> | null)?.[name] === "function";
}

function ofIoRedis(client: IoRedisLike): Commands {
  const sender =
    (one: IoRedisLike): Send =>
    ([command, ...words]) =>
      one.callBuffer(command as string, ...words.map(buffer));
  const send = sender(client);
  return {
    send: (_key, _isRead, words) => send(words),
    masters: () => {
      const nodes = (client as { nodes?(role: string): IoRedisLike[] }).nodes?.("master");
      return Promise.resolve(nodes === undefined ? [send] : nodes.map(sender));
    },
  };
}

/** Texts as bytes: in the words of version 4, and in those of 5 and 6, where 36 is the protocol's number of a text. */
const AS_BYTES = { returnBuffers: true, typeMapping: { 36: Buffer } };

function ofNodeRedis(client: NodeRedisLike): Commands {
  const send = senderOf(client);
  return { send: (_key, _isRead, words) => send(words), masters: () => Promise.resolve([send]) };
}

function senderOf(client: NodeRedisLike): Send {
  return (words) => client.sendCommand(words.map(buffer), AS_BYTES);
}

interface NodeCluster extends NodeRedisLike {
  readonly masters: readonly unknown[];
  nodeClient(node: unknown): NodeRedisLike | Promise<NodeRedisLike>;
}

function ofNodeRedisCluster(cluster: NodeCluster): Commands {
  return {
    send: (key, _isRead, words) => cluster.sendCommand(key, false, words.map(buffer), AS_BYTES),
    masters: async () => {
      const clients = await Promise.all(cluster.masters.map((node) => cluster.nodeClient(node)));
      return clients.map(senderOf);
    },
  };
}

/** `Decoder.Bytes` of GLIDE: its default one destroys binary values. */
const GLIDE_BYTES = 0;

function ofGlide(client: GlideLike): Commands {
  const send: Send = (words) => client.customCommand(words.map(buffer), { decoder: GLIDE_BYTES });
  return { send: (_key, _isRead, words) => send(words), masters: () => Promise.resolve([send]) };
}

function buffer(word: Word): string | Buffer {
  return typeof word === "string" || Buffer.isBuffer(word) ? word : Buffer.from(word);
}
