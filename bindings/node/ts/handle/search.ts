// Where the files of a platform's package are searched: in the directories of packages above this code, as Node and every
// package manager have it; beside the package itself, where this code is in a program's bundle; and in the bundle's own folder.
// Not in the current directory, in `NODE_PATH`, or in a folder of the user's own.
import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { builtin } from "../builtin";
import type { Native } from "../natives";
import { isPlatform } from "./platforms";
import { type Asker, ancestors, askerAt, objection } from "./trust";

/** What speaks against a file that was found. */
export interface Objection {
  readonly path: string;
  readonly why: string;
  /** Whether another user could have put it there. */
  readonly foreign: boolean;
}

/** The name of this package, and the one that it has in the place of the original. */
const OWN_NAMES = ["tokenkeep", "@azure/msal-node-extensions"];

const FOLDER = "node_modules";

/** Whether this is a released package, which knows the files that were released with it. */
export function isReleased(): boolean {
  return Object.keys(natives()).length > 0;
}

function natives(): Readonly<Record<string, Native>> {
  return (require("./natives.js") as typeof import("../natives")).NATIVES;
}

export class Search {
  /** The file in which this code is. */
  readonly asker: Asker | undefined;
  readonly objections: Objection[] = [];
  private readonly name: string;

  constructor(readonly platform: string) {
    this.asker = ownFile();
    this.name = `tokenkeep-${platform}`;
  }

  /** Whether there was any place to search. */
  get searched(): boolean {
    return this.asker !== undefined;
  }

  /** The addon; `undefined` where there is none that may be loaded. */
  addon(): string | undefined {
    return this.find([`tokenkeep.${this.platform}.node`], (native) => native.addon);
  }

  /** The executable of the command; `undefined` where there is none that may be run. */
  command(): string | undefined {
    // In the package under its own name; in a checkout beside the addon, under one that tells the platforms apart.
    const own = process.platform === "win32" ? "tokenkeep.exe" : "tokenkeep";
    return this.find([own, `tokenkeep.${this.platform}.command`], (native) => native.command);
  }

  /** Whether the platform's package is there, whatever is in it. */
  isInstalled(): boolean {
    return this.asker !== undefined && [...this.folders(this.asker)].some((folder) => this.isPackage(folder));
  }

  private isPackage(folder: string): boolean {
    return basename(folder) === this.name && this.isThere(join(folder, "package.json"));
  }

  /** Whether Node's own search finds the package, as a `require` in a bundle would. */
  wouldFindOutside(): boolean {
    const { asker, name } = this;
    try {
      const found = asker && builtin("node:module").createRequire(asker.path).resolve(name);
      // A program that Bun has compiled has files of its own.
      return found !== undefined && !/^(?:\/\$bunfs\/|[A-Z]:[\\/]~BUN[\\/])/.test(found) && existsSync(found);
    } catch {
      return false;
    }
  }

  private find(names: readonly string[], hash: (native: Native) => string | undefined): string | undefined {
    if (!isPlatform(this.platform) || this.asker === undefined) {
      return undefined;
    }
    const native = natives()[this.platform];
    const expected = native && hash(native);
    for (const folder of this.folders(this.asker)) {
      for (const name of names) {
        const file = join(folder, name);
        if (this.isThere(file) && this.mayRun(file, expected)) {
          return file;
        }
      }
    }
    return undefined;
  }

  private isThere(file: string): boolean {
    try {
      return existsSync(file);
    } catch (error) {
      this.denied(file, error);
      return false;
    }
  }

  private mayRun(file: string, expected: string | undefined): boolean {
    try {
      const against = objection(file, expected, this.asker);
      if (against !== undefined) {
        this.objections.push({ path: file, ...against });
      }
      return against === undefined;
    } catch (error) {
      this.denied(file, error);
      return false;
    }
  }

  /** Notes the right that is missing. @throws errors of other kinds. */
  private denied(file: string, error: unknown): void {
    if ((error as NodeJS.ErrnoException).code !== "ERR_ACCESS_DENIED") {
      throw error;
    }
    const why = `Node's permission model keeps this program from reading it: start Node.js with --allow-fs-read=${dirname(file)}/*`;
    this.objections.push({ path: file, why, foreign: false });
  }

  /** The folders in which the package's files may lie, in the order of Node's own search. */
  private *folders({ path }: Asker): Generator<string> {
    const { name } = this;
    const packages = packagesAbove(path);
    for (const one of packages) {
      yield join(one, name);
    }
    if (process.versions.pnp !== undefined) {
      yield* this.pluggedAndPlayed(path);
    }
    // In a program's bundle: strict package managers put the addon beside this package only.
    for (const one of packages) {
      for (const own of OWN_NAMES) {
        const installed = join(one, own, "package.json");
        if (this.isThere(installed)) {
          yield* packagesAbove(realpathSync.native(installed)).map((folder) => join(folder, name));
        }
      }
    }
    yield dirname(path);
    if (!isReleased() && basename(dirname(path)) === "dist") {
      // A checkout, where the build puts the addon beside package.json.
      yield dirname(dirname(path));
    }
  }

  /** Yarn's Plug'n'Play, which has no folders of packages: it resolves what this package depends on. */
  private *pluggedAndPlayed(path: string): Generator<string> {
    const { createRequire } = builtin("node:module");
    const bases = [path];
    for (const own of OWN_NAMES) {
      try {
        bases.push(createRequire(path).resolve(`${own}/package.json`));
      } catch {
        // The program does not depend on it by this name.
      }
    }
    for (const base of bases) {
      try {
        yield dirname(createRequire(base).resolve(this.name));
      } catch {
        // Nor this one on the platform's package.
      }
    }
  }
}

/** The folders of packages above a file, the nearest first. */
function packagesAbove(path: string): string[] {
  return ancestors(path)
    .filter((folder) => basename(folder) !== FOLDER)
    .map((folder) => join(folder, FOLDER));
}

/** The file that this code is in, or in an ES module that a bundler made, the program's. */
export function ownFile(): Asker | undefined {
  // A bundler may have put this into an ES module, which has no such name, or have made one up.
  const own = typeof __filename === "string" ? askerAt(__filename) : undefined;
  const [, program] = process.argv;
  return own ?? (program === undefined ? undefined : askerAt(program));
}
