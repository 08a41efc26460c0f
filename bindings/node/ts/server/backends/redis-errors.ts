// What a server or its client says, as errors of the store. A message of a server may quote a command, so only its first word is
// shown.
import { StoreError, type StoreErrorCode } from "../store-error";

const ANSWERS: readonly (readonly [RegExp, StoreErrorCode, string])[] = [
  [
    /^READONLY/,
    "read_only",
    "The database is a replica now, which takes no writes. It is asked again for a moment",
  ],
  [
    /^OOM/,
    "out_of_memory",
    "The memory of the database is full. Raise maxmemory, or set maxmemory-policy to volatile-ttl",
  ],
  [
    /^(NOAUTH|WRONGPASS|AuthenticationFailed)/,
    "unauthorized",
    "The database refuses the user name or password of this client",
  ],
  [
    /^NOPERM/,
    "unsupported",
    "The database does not allow its scripts or keys to this user. Allow them: ACL SETUSER NAME +@read +@write +eval +evalsha +scan +info, and ~tk:* unless it has all keys",
  ],
  [/^(CLUSTERDOWN|TRYAGAIN|ClusterDown|TryAgain)/, "cluster_down", "A part of the cluster has no master now"],
  [
    /^(MOVED|ASK|CROSSSLOT)/,
    "wrong_client",
    "The database is a cluster, and this client is not one for clusters. Use the client's cluster form",
  ],
  [
    /^WRONGTYPE/,
    "damaged",
    'Something else than a record has the name of a record. Remove it, or use another "app"',
  ],
  [
    /^(LOADING|MASTERDOWN|BUSY|MISCONF|BusyLoadingError|MasterDown)/,
    "unavailable",
    "The database takes no commands now",
  ],
];

/** What GLIDE puts before an answer of the server; it has names of its own for some. */
const GLIDE = /^An error was signalled by the server: - (ResponseError: )?/;

export function redisError(cause: unknown): StoreError {
  if (cause instanceof StoreError) {
    return cause;
  }
  const text = String((cause as Error | undefined)?.message ?? "")
    .replace(GLIDE, "")
    .replace(/^ERR /, "");
  const known = ANSWERS.find(([pattern]) => pattern.test(text));
  if (known !== undefined) {
    const [, code, message] = known;
    return new StoreError(code, `${message} (${text.split(" ")[0]})`, { cause });
  }
  if (/unknown command/.test(text)) {
    return new StoreError("unsupported", "The database does not know a command of the store: EVAL, EVALSHA", {
      cause,
    });
  }
  return new StoreError(
    "unavailable",
    "The database cannot be reached through its client. Check that it is up and that the client is connected",
    { cause },
  );
}
