// The migration between two caches that Rust keeps.
import type { MigrationReply } from "../face";
import type { Cache } from "./cache";
import { translate } from "./errors";
import { refuseOwnWait } from "./held";
import { call, link } from "./link";
import { withPassphrases } from "./passphrases";

/** Moves, or with `plan` only looks, waiting at most `limit` milliseconds for the locks. */
export async function migrateCaches(
  from: Cache,
  to: Cache,
  plan: boolean,
  limit: number,
): Promise<MigrationReply> {
  refuseOwnWait(from.path);
  refuseOwnWait(to.path);
  const { addon, channel } = link();
  const askers = [...from.askers, ...to.askers];
  try {
    return await withPassphrases(askers, () =>
      call((id) => addon.migrate(channel, id, from.native, to.native, plan, limit)),
    );
  } catch (error) {
    // The failure does not name its keystore. If only one of the two stores has one, it is that one.
    throw translate(error, from.keystore ?? to.keystore);
  }
}
