// @ts-check
/**
 * The code blocks of a page: what their first line says about them, and so how they are tested.
 *
 * | first line | meaning |
 * | --- | --- |
 * | `js`, `python` | a program, run |
 * | `js continues` | the same program as the block of this language before it |
 * | `sh` | commands, run in the folder of the page |
 * | `json file=NAME`, also `js`, `yaml`, ... | written to a file in the folder of the page; of a `package.json` the members are added |
 * | `text output` | what the block before it prints; a line of three dots stands for any lines |
 * | `text`, `json` and other formats alone | data, not a program; JSON is parsed |
 * | `js shown`, `sh shown`, ... | not run here, because it needs another program or a person; its syntax is checked |
 * | `rust` | a documentation test of the crate `tokenkeep-pages`, or of the crate whose README it is |
 */

/**
 * @typedef {object} Block
 * @property {string} language
 * @property {Set<string>} words
 * @property {string | undefined} file
 * @property {string} text
 * @property {number} line
 */

/** The languages of which a block must be one of a page's kinds; a block without a language is refused. */
export const PROGRAMS = ["js", "python", "sh", "rust"];
export const DATA = ["text", "json", "yaml", "toml", "ini", "dockerfile", "xml"];

/**
 * Returns the blocks of a page.
 *
 * @param {string} page
 * @returns {Block[]}
 */
export function blocks(page) {
  /** @type {Block[]} */
  const found = [];
  /** @type {(Block & { fence: string, indent: string }) | undefined} */
  let open;
  for (const [index, line] of page.split("\n").entries()) {
    const [, indent = "", fence, info = ""] = /^( *)(`{3,}|~{3,})(.*)$/.exec(line) ?? [];
    if (!open && fence) {
      const [language = "", ...words] = info.trim().split(/[\s,]+/);
      const file = words.find((word) => word.startsWith("file="))?.slice("file=".length);
      open = { language, words: new Set(words), file, text: "", line: index + 1, fence, indent };
    } else if (open && fence?.startsWith(open.fence) && info.trim() === "") {
      found.push(open);
      open = undefined;
    } else if (open) {
      open.text += `${line.startsWith(open.indent) ? line.slice(open.indent.length) : line}\n`;
    }
  }
  if (open) {
    throw new Error(`the block in line ${open.line} has no end`);
  }
  return found;
}

/**
 * Returns the reason why a block is of no known kind, or nothing.
 *
 * @param {Block} block
 */
export function fault({ language, words, file }) {
  if (![...PROGRAMS, ...DATA].includes(language)) {
    return language === "" ? "it names no language" : `its language is ${language}`;
  }
  const known = ["continues", "shown", "output", "no_run", "ignore", `file=${file}`];
  const unknown = [...words].find((word) => !known.includes(word));
  if (unknown !== undefined) {
    return `its first line has ${unknown}`;
  }
  return words.has("ignore") ? "nothing checks it" : undefined;
}

/**
 * Whether a program printed the output that a page shows.
 *
 * @param {string} printed
 * @param {string} shown
 */
export function isOutput(printed, shown) {
  const literal = (/** @type {string} */ line) => line.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const lines = shown.trimEnd().split("\n");
  const pattern = lines.map((line) => (line.trim() === "..." ? "[^]*?" : literal(line.trimEnd()))).join("\n");
  return new RegExp(`^${pattern}$`).test(printed.trimEnd().replace(/[ \t]+$/gm, ""));
}
