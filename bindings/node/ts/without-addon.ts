// Plaintext files without a binary: the face of the addon, in TypeScript. An entry of its own, which is loaded when there is
// no addon for this platform, so that most programs never read it. Everything but plaintext files needs the addon.

import type { Addon, MergeReply, NativeChannel } from "./native/addon";
import { VERSION } from "./version";
import { FileCache } from "./without-addon/cache";
import { Channel } from "./without-addon/channel";
import { isCache, keysOf, parse } from "./without-addon/document";
import { Failed, failed, failureOf } from "./without-addon/failure";
import { type Merged, merge } from "./without-addon/merge";
import { SharedLock } from "./without-addon/shared-lock";

/**
 * The addon's face over plaintext files.
 *
 * @param missing What every other store fails with.
 */
export function withoutAddon(missing: Error): Addon {
  const warned = new WeakSet<NativeChannel>();
  const file: Addon["Cache"]["file"] = (channel, source, path, synced) => {
    if (!warned.has(channel)) {
      warned.add(channel);
      const message = `Plaintext files work without it, other stores do not: ${missing.message}`;
      // Later, when whoever opens this can listen.
      queueMicrotask(() => (channel as Channel).tell({ source, kind: "warning", message }));
    }
    return new FileCache(channel as Channel, source, path, synced);
  };
  const stores = new Proxy({ file } as Addon["Cache"], {
    get(known, name) {
      return name === "file"
        ? known.file
        : () => {
            throw missing;
          };
    },
  });
  return {
    version: () => VERSION,
    Channel,
    Cache: stores,
    Lock: class extends SharedLock {
      constructor(channel: NativeChannel, path: string) {
        super(channel as Channel, path);
      }
    },
    merge(channel, call, held, base, ours, theirs, disturbed, keys) {
      (channel as Channel).answer(call, async (): Promise<MergeReply> => {
        const { content, conflict } = mergeAny(held, base, ours, theirs, disturbed);
        return {
          content,
          ...(keys && { keys: keysOf(ours) }),
          ...(conflict && { conflict: failureOf(conflict) }),
        };
      });
    },
    keys(channel, call, text) {
      (channel as Channel).answer(call, async () => keysOf(text));
    },
    migrate(channel, call) {
      (channel as Channel).answer(call, async () => {
        throw failed("not_supported", `Moving between stores needs the addon: ${missing.message}`);
      });
    },
  };
}

function mergeAny(
  held: string | null,
  base: string | undefined,
  ours: string,
  theirs: string | null,
  disturbed: boolean,
): Merged {
  if (!isCache(parse(ours))) {
    return { content: ours, conflict: undefined };
  }
  try {
    return merge({ held, base: base ?? null, ours, disturbed }, theirs);
  } catch (error) {
    // What a program's own persistence holds is that program's: what is no cache is replaced, as ever.
    if (error instanceof Failed && error.failure.kind === "damaged") {
      return merge({ held: null, base: null, ours, disturbed: false }, null);
    }
    throw error;
  }
}
