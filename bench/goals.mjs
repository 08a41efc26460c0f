// @ts-check
/**
 * The goals of the project, each a ratio of medians of one run.
 */
import { BARE, CACHED, ORIGINAL, OURS } from "./cells.mjs";
import { short } from "./lib/figures.mjs";
import { EXTENSIONS, PACKAGE, PACKAGE_CACHED } from "./python-cells.mjs";
import { PLUGIN } from "./server-cells.mjs";

/** How many times the original's rate a reload of a file has, by its size. @type {Record<string, number>} */
const RELOAD = { "4 KB": 4, "100 KB": 3, "1 MB": 1.8, "5 MB": 1.6 };

/** How many times msal-extensions' rate a sign-in in Python has, by the size of the cache. @type {Record<string, number>} */
const SIGN_IN = { "4 KB": 2, "100 KB": 4, "1 MB": 6 };

/**
 * @typedef {object} Result
 * @property {string} group
 * @property {string} name
 * @property {number} [x]
 * @property {string} [unit]
 * @property {Record<string, Record<string, { median: number, rounds: number[] }>>} sides
 */
/** @typedef {{ goal: string, where: string, measured: string, met: boolean }} Verdict */

/** @param {Result[]} results @returns {Verdict[]} */
export function verdicts(results) {
  return results.flatMap((result) => [...judge(result)]);
}

/** @param {Result} result @returns {Iterable<Verdict>} */
function* judge(result) {
  const { group, name } = result;
  const where = `${group}, ${name}`;
  /** @param {string} side @param {string} [metric] */
  const of = (side, metric = "ms") => result.sides[side]?.[metric]?.median;
  /** @param {string} goal @param {number | undefined} slower @param {number | undefined} faster @param {number} least */
  const times = function* (goal, slower, faster, least) {
    if (slower !== undefined && faster !== undefined) {
      const ratio = slower / faster;
      yield { goal, where, measured: `${short(ratio)} ×`, met: ratio >= least };
    }
  };
  /** @param {string} goal @param {number | undefined} ours @param {number | undefined} theirs @param {number} most */
  const share = function* (goal, ours, theirs, most) {
    if (ours !== undefined && theirs !== undefined) {
      const ratio = ours / theirs;
      yield { goal, where, measured: `${short(ratio)} ×`, met: ratio <= most };
    }
  };
  switch (group) {
    case "file unchanged":
    case "keyring unchanged":
      yield* times("unchanged read ≥ 20 × the original's rate", of(ORIGINAL), of(OURS), 20);
      break;
    case "file reload":
      yield* times(
        `reload ≥ ${RELOAD[name]} × the original's rate`,
        of(ORIGINAL),
        of(OURS),
        RELOAD[name] ?? 1,
      );
      break;
    case "file write":
      yield* times("write like for like ≥ 3 × the original's rate", of(ORIGINAL), of(CACHED), 3);
      yield* times("durable write ≥ 1.5 × the original's rate", of(ORIGINAL), of(OURS), 1.5);
      yield* share("durable write ≤ 1.5 × the bare calls", of(OURS), of(BARE), 1.5);
      break;
    case "keyring reload":
    case "keyring write":
      yield* times("keyring ≥ 1.5 × the original's rate", of(ORIGINAL), of(OURS), 1.5);
      break;
    case "contention":
      yield* share("≤ 0.8 of the time of the original, which loses updates", of(OURS), of(ORIGINAL), 0.8);
      // One process alone never waits. Its longest "wait" is the slowest lock it took, which depends on the disk.
      if (!name.startsWith("1 ")) {
        yield* share(
          "longest wait ≤ 1/20 of the original's",
          of(OURS, "wait max"),
          of(ORIGINAL, "wait max"),
          1 / 20,
        );
      }
      yield* share("slowest/fastest process ≤ 1.3", of(OURS, "slowest/fastest"), 1, 1.3);
      yield {
        goal: "none lost, none failed, in any round",
        where,
        measured: JSON.stringify(["lost", "failed"].map((metric) => result.sides[OURS][metric].rounds)),
        met: ["lost", "failed"].every((metric) =>
          result.sides[OURS][metric].rounds.every((count) => count === 0),
        ),
      };
      break;
    case "one process":
      if (name.startsWith("50 ") || name.startsWith("200 ")) {
        yield* times("cycles at once ≥ 20 × the original's rate", of(ORIGINAL), of(OURS), 20);
      }
      break;
    case "server token": {
      const most = name === "from the cache" ? 1.2 : 1.4;
      yield* share(`a token ≤ ${most} × the time of DistributedCachePlugin`, of(OURS), of(PLUGIN), most);
      break;
    }
    case "core schema":
      yield* times(
        "parse and merge ≥ 0.5 × serde_json's rate",
        of("merge", "MB/s"),
        of("serde_json::Value", "MB/s"),
        0.5,
      );
      break;
    case "heap":
      yield* share("memory of a merge ≤ 3 × its texts", of(OURS, "of the texts"), 1, 3);
      break;
    case "install": {
      const [packages, compiled] = [of(OURS, "packages"), of(OURS, "binaries compiled")];
      yield { goal: "one package and its binary", where, measured: String(packages), met: packages === 2 };
      yield { goal: "nothing compiled", where, measured: String(compiled), met: compiled === 0 };
      break;
    }
    case "Python sign-in":
      yield* times(
        `sign-in ≥ ${SIGN_IN[name]} × the rate of msal-extensions`,
        of(EXTENSIONS),
        of(PACKAGE),
        SIGN_IN[name] ?? 1,
      );
      break;
    case "Python one token":
      yield* times(
        "left to the system, not slower than msal-extensions",
        of(EXTENSIONS),
        of(PACKAGE_CACHED),
        1,
      );
      break;
    case "Python search, one token":
    case "Python search, accounts":
    case "Python reload":
      yield* times("not slower than msal-extensions", of(EXTENSIONS), of(PACKAGE), 1);
      break;
    case "Python expired":
      yield { goal: "within 20 ms", where, measured: `${short(of(PACKAGE))} ms`, met: of(PACKAGE) <= 20 };
      break;
    case "Python crowd":
      yield* share("≤ 1/4 of the time of msal-extensions", of(PACKAGE), of(EXTENSIONS), 1 / 4);
      yield* share("none lost, none failed", of(PACKAGE, "lost") + of(PACKAGE, "failed"), 1, 0);
      break;
    case "Python import": {
      const more = of(PACKAGE) - of("nothing");
      yield { goal: "≤ 10 ms over nothing", where, measured: `${short(more)} ms`, met: more <= 10 };
      break;
    }
    case "start": {
      const load = name.startsWith("import") ? { verb: "import", most: 0.2 } : { verb: "require", most: 0.7 };
      yield* share(
        `${load.verb} ≤ ${load.most} of the original's time`,
        of(OURS, "import"),
        of(ORIGINAL, "import"),
        load.most,
      );
      if (name.includes("plaintext")) {
        const create = "first createPersistence";
        yield* share(`${create} ≤ 0.6 of the original's time`, of(OURS, create), of(ORIGINAL, create), 0.6);
      }
      if (name.includes("no bus")) {
        const took = of(OURS, "first createPersistence");
        if (took !== undefined) {
          const goal = "no bus: error or fallback within 20 ms";
          yield { goal, where, measured: `${short(took)} ms`, met: took <= 20 };
        }
      }
      break;
    }
  }
}
