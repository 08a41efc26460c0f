// Which store a cache name stands for: its file, and its account in the keystore. Tokens for programs that understand
// continuous access evaluation (CAE) and tokens for those that do not must not be mixed, so each name has two stores.
import { join, relative, resolve, sep } from "node:path";
import { queueMicrotask } from "../clock";
import { Environment, PersistenceError } from "../index.js";

/** The folder of all Azure SDKs, in the user's own. */
const FOLDER = ".IdentityService";

/** The default cache name of @azure/identity. */
const DEFAULT_NAME = "msal.cache";

/** By which a name says which of the two it is; also what the Azure SDKs of other languages append. */
const SUFFIXED = /\.(?:no)?cae$/;

/** A store, by name. */
export interface Place {
  /** The name within the folder, which is also the keystore item's account. */
  readonly name: string;
  readonly path: string;
  /** The file of the original plugin, where that is another. */
  readonly originalPath: string | undefined;
}

/**
 * Tells the two caches of a credential apart.
 *
 * `@azure/identity` asks for both at once, one directly after the other: without CAE, then with. It appends `.nocae` and
 * `.cae` to its own name, but where a program gives a name it asks for that very name twice (seen in 4.13.1 and 4.14.1).
 */
export class Names {
  private asked: string | undefined;

  /** The name with its suffix. One that a program gave with a suffix is taken as it is. */
  suffixed(given: string | undefined): string {
    const name = given || `${DEFAULT_NAME}.nocae`;
    const second = this.asked === name;
    this.asked = undefined;
    if (SUFFIXED.test(name)) {
      return name;
    }
    if (second) {
      return `${name}.cae`;
    }
    this.asked = name;
    queueMicrotask(() => {
      this.asked = undefined;
    });
    return `${name}.nocae`;
  }
}

/**
 * Returns the location of a name's store.
 *
 * @throws PersistenceError `ERR_INVALID_ARG_VALUE` for a name that leads out of the folder, `CachePersistenceError`
 * where the environment does not tell whose folder it would be.
 */
export function placeOf(name: string, given: string | undefined, directory: string | undefined): Place {
  const folder = directory ?? defaultDirectory();
  const path = within(folder, name);
  const originalPath = given === undefined || given === "" ? path : within(folder, given);
  return {
    name: relative(folder, path).split(sep).join("/"),
    path,
    originalPath: originalPath === path ? undefined : originalPath,
  };
}

function defaultDirectory(): string {
  const root = Environment.getUserRootDirectory();
  if (!root) {
    const variable = Environment.isWindowsPlatform() ? "LOCALAPPDATA" : "HOME";
    throw PersistenceError.createCachePersistenceError(
      `There is no folder for the token cache: the environment variable ${variable} is not set. ` +
        "Set it, or give createCachePersistencePlugin a directory",
    );
  }
  return join(root, FOLDER);
}

function within(folder: string, name: string): string {
  const path = resolve(folder, name);
  if (name.includes("\0") || !path.startsWith(resolve(folder) + sep)) {
    throw PersistenceError.createFileSystemError(
      "ERR_INVALID_ARG_VALUE",
      `The name of a token cache must be that of a file in ${folder}. Received ${JSON.stringify(name)}`,
    );
  }
  return path;
}
