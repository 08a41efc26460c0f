// @ts-check
/**
 * The record of a run with a loss or a failure: all journals and the final file, for a later examination. By hand:
 * `node mixed/record.mjs FILE [person]` judges it again.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { entriesOf, judge } from "./judge.mjs";

/** @typedef {{ accounts: import("./judge.mjs").Account[], left: string, read: import("./crew.mjs").Read }} Record */

/** The folder: TOKENKEEP_RECORDS, or one beside the scratch directories. */
const FOLDER = process.env.TOKENKEEP_RECORDS ?? join(tmpdir(), "tokenkeep-records");

/** @param {Record} record @returns {Promise<string>} the file */
export async function keep(record) {
  // The names are invented, at contoso.example, and so are the secrets; but later runs may use other ones.
  await mkdir(FOLDER, { recursive: true, mode: 0o700 });
  const crowd = record.accounts.map(({ kind }) => kind[0]).join("");
  const path = join(FOLDER, `${new Date().toISOString().replaceAll(":", "")}-${crowd}-${process.pid}.json`);
  await writeFile(path, JSON.stringify(record), { mode: 0o600 });
  return path;
}

/**
 * Lists every write, and whether the account (A) and the refresh token (T) of a user were in the file, were found,
 * were written.
 *
 * @param {Record} record
 * @param {string} person
 */
function* story({ accounts }, person) {
  const signedIn = accounts
    .flatMap(({ journal }) => journal)
    .find((entry) => entry.at === "signed-in" && entry.person === person);
  const wanted = signedIn?.at === "signed-in" ? entriesOf(signedIn.id) : [];
  const writes = accounts.flatMap(({ name, journal }) =>
    journal.flatMap((entry) => (entry.at === "wrote" ? [{ ...entry, name }] : [])),
  );
  const start = Math.min(...writes.map(({ entered }) => entered));
  /** @param {number} time */
  const ms = (time) => ((time - start) / 1e6).toFixed(3);
  /** @param {string} what @param {string[] | null} entries */
  const has = (what, entries) => {
    const letters = wanted.map((entry, index) => (entries?.includes(entry) ? "AT"[index] : "-"));
    return `${what} ${entries === null ? "?" : letters.join("")}`;
  };
  for (const { name, entered, saving, saved, there, found, wrote, met } of writes.sort(
    (one, other) => one.saving - other.saving,
  )) {
    yield [
      `${name}: entered ${ms(entered)} saving ${ms(saving)} saved ${ms(saved)}`,
      has("there", there),
      has("found", found),
      has("wrote", wrote),
      ...(met === null ? [] : [`met ${met}`]),
    ].join("; ");
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [path = "", person] = process.argv.slice(2);
  /** @type {Record} */
  const record = JSON.parse(await readFile(path, "utf8"));
  if (person) {
    for (const line of story(record, person)) {
      console.log(line);
    }
  } else {
    const { losses, overlaps, dropped } = judge(record.accounts, record.left);
    console.log(JSON.stringify({ losses, overlaps, dropped: dropped.length }, null, 2));
  }
}
