// Copies the content that @azure/identity-cache-persistence stored, when a name is used for the first time. The
// original's store stays unchanged, because other programs may still use it.
//
// The original keeps all names, with and without CAE, in one keystore item, and a name that a program gave also in one
// file. Access tokens are not taken: a program without CAE cannot use those with CAE, and the item does not tell them
// apart. Refresh tokens work with both, so that users stay signed in.
import { promises as files } from "node:fs";
import { dirname, join } from "node:path";
import { systemTime } from "../clock";
import {
  DataProtectionScope,
  Environment,
  FilePersistence,
  FilePersistenceWithDataProtection,
  type IPersistence,
  KeychainPersistence,
  LibSecretPersistence,
  type PersistenceCachePlugin,
  type PersistenceInfo,
} from "../index.js";
import type { Place } from "./names";

/** The service of the keystore items of all Azure SDKs. */
export const SERVICE = "Microsoft.Developer.IdentityService";

/** The account of the original, for every name. */
const ORIGINAL_ACCOUNT = "MSALCache";

/** The places where the original may have stored content. */
type Source = "file" | "keystore";

/**
 * Adds what the original stored to what `plugin` keeps, once for each source, which a file beside the cache remembers: a
 * sign-out here must not be undone by the original's copy. A failure is logged and the source asked again in the next
 * process; it does not prevent a sign-in.
 *
 * @param begun Whether the cache's own path was there before it was opened for the first time.
 */
export async function takeIn(
  plugin: PersistenceCachePlugin,
  place: Place,
  info: PersistenceInfo,
  begun: boolean,
): Promise<void> {
  const logger = plugin.persistence.getLogger();
  const note = `${place.path}.taken-in`;
  const done = await noted(note);
  for (const source of sourcesFor(place, info, begun)) {
    if (done.has(source)) {
      continue;
    }
    try {
      const content = await (source === "file" ? fromFile(place) : fromKeystore(place));
      const kept = withoutAccessTokens(content);
      if (kept !== undefined) {
        await plugin.afterCacheAccess({
          cacheHasChanged: true,
          tokenCache: { serialize: () => kept, deserialize: () => {} },
        });
        logger.info(`What the original plugin stored (its ${source}) was added to ${place.name}`, "");
      }
      done.add(source);
      await files.writeFile(note, [...done].map((one) => `${one}\n`).join(""), { mode: 0o600 });
    } catch (error) {
      // By name only: what failed may quote what it read.
      const name = (error as Error | null)?.name ?? typeof error;
      const code = (error as { code?: unknown } | null)?.code ?? "no code";
      logger.warning(`What the original plugin stored (its ${source}) cannot be read: ${name}, ${code}`, "");
    }
  }
}

function sourcesFor({ originalPath }: Place, info: PersistenceInfo, begun: boolean): Source[] {
  const sources: Source[] = originalPath === undefined ? [] : ["file"];
  // The original makes its file, or the marker of its item, in any case. A name without one it has never seen.
  if (
    (info.backend === "secretService" || info.backend === "keychain") &&
    (begun || originalPath !== undefined)
  ) {
    sources.push("keystore");
  }
  return sources;
}

async function noted(note: string): Promise<Set<string>> {
  try {
    return new Set((await files.readFile(note, "utf8")).split("\n").filter(Boolean));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      return new Set();
    }
    throw error;
  }
}

async function exists(path: string | undefined): Promise<boolean> {
  if (path === undefined) {
    return false;
  }
  return files.stat(path).then(
    () => true,
    () => false,
  );
}

async function fromFile({ originalPath }: Place): Promise<string | null> {
  if (originalPath === undefined || !(await exists(originalPath))) {
    return null;
  }
  const persistence = Environment.isWindowsPlatform()
    ? await FilePersistenceWithDataProtection.create(originalPath, DataProtectionScope.CurrentUser)
    : new FilePersistence(originalPath);
  return persistence.load();
}

async function fromKeystore({ path, originalPath }: Place): Promise<string | null> {
  if (originalPath !== undefined && !(await exists(originalPath))) {
    return null;
  }
  // Not with the original's own marker: tokens that stand in it would be moved into the item.
  const marker = join(dirname(path), `.taking-in-${process.pid}-${systemTime().toString(36)}`);
  const open = Environment.isMacPlatform() ? KeychainPersistence : LibSecretPersistence;
  const persistence: IPersistence = await open.create(marker, SERVICE, ORIGINAL_ACCOUNT);
  try {
    return await persistence.load();
  } finally {
    await files.rm(marker, { force: true });
    await files.rm(`${marker}.tk-lock`, { force: true });
  }
}

/** The cache without access tokens; `undefined` where nothing is left, or it is no cache. */
function withoutAccessTokens(content: string | null): string | undefined {
  const { AccessToken: _, ...rest } = JSON.parse(content?.replace(/^\uFEFF/, "") || "{}") as Record<
    string,
    unknown
  >;
  const sections = Object.values(rest).filter((section) => section !== null && typeof section === "object");
  return sections.some((section) => Object.keys(section as object).length > 0)
    ? JSON.stringify(rest)
    : undefined;
}
