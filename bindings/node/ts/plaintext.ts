// The plaintext file in which tokens are kept where the keyring does not work, for programs that allow that.

import { PersistenceError } from "./error";
import { verified } from "./fallback";
import { FilePersistence } from "./file-persistence";
import type { InformedPersistence, IPersistenceConfiguration } from "./types";

/** A verified plaintext file. `reason` is why it takes the keyring's place. */
export async function createPlaintext(
  config: IPersistenceConfiguration,
  reason: unknown,
): Promise<InformedPersistence> {
  if (!config.cachePath) {
    throw PersistenceError.createPersistenceNotValidatedError(
      "Cache path not provided for the FilePersistence cache plugin",
    );
  }
  const persistence = await FilePersistence.create(config.cachePath, config.loggerOptions, config);
  await verified(persistence);
  tellOfPlaintext(persistence, reason);
  return persistence;
}

/** Logs the warning that has to come with it. */
export function tellOfPlaintext(persistence: FilePersistence, reason: unknown): void {
  const path = persistence.getFilePath();
  persistence
    .getLogger()
    .warning(`Tokens are kept unencrypted in ${path}, because the keyring does not work: ${reason}`, "");
}
