// A token cache as an ordered view of its text: sections and entries, each kept as it was written, so that what this
// package does not know, and numbers that JavaScript cannot hold, come through unchanged.

export const SECTIONS = ["AccessToken", "RefreshToken", "IdToken", "Account", "AppMetadata"] as const;
export type Section = (typeof SECTIONS)[number];

/** The members of an object by name, each as the text of its value. Of several with one name the last counts. */
export type Members = ReadonlyMap<string, string>;

export interface Document {
  /** Everything in the root, known sections included. */
  readonly root: Members;
  readonly sections: ReadonlyMap<Section, Members>;
}

const NONE: Members = new Map();
export const EMPTY: Document = { root: NONE, sections: new Map() };

/** The cache in `text`; `undefined` when it is not JSON, not an object, or a known section is neither object nor null. */
export function parse(text: string): Document | undefined {
  const body = withoutMark(text);
  try {
    JSON.parse(body);
  } catch {
    // Not a message worth keeping: it would quote what it read.
    return undefined;
  }
  if (!body.trimStart().startsWith("{")) {
    return undefined;
  }
  const root = members(body);
  const sections = new Map<Section, Members>();
  for (const section of SECTIONS) {
    const value = root.get(section);
    if (value?.startsWith("{")) {
      sections.set(section, members(value));
    } else if (value === "null") {
      sections.set(section, NONE);
    } else if (value !== undefined) {
      return undefined;
    }
  }
  return { root, sections };
}

/** Whether a client of a token cache writes such a thing: one known section at least, or nothing at all. */
export function isCache(document: Document | undefined): document is Document {
  return document !== undefined && (document.root.size === 0 || document.sections.size > 0);
}

/** Whether this can be all of what was written: what begins like an object has to be one, complete. */
export function isWhole(text: string): boolean {
  const body = withoutMark(text);
  if (!/^\s*\{/.test(body)) {
    return true;
  }
  try {
    JSON.parse(body);
    return true;
  } catch {
    return false;
  }
}

export function withoutMark(text: string): string {
  return text.startsWith("\ufeff") ? text.slice(1) : text;
}

export function entriesOf(document: Document, section: Section): Members {
  return document.sections.get(section) ?? NONE;
}

/** The key of every entry, section by section. */
export function keysOf(text: string | null): string[] {
  const document = text ? parse(text) : undefined;
  return document ? SECTIONS.flatMap((section) => [...entriesOf(document, section).keys()]) : [];
}

/** The text of an object with these members. */
export function write(all: Iterable<readonly [name: string, value: string]>): string {
  return `{${Array.from(all, ([name, value]) => `${JSON.stringify(name)}:${value}`).join(",")}}`;
}

/** A string, or anything else that can be skipped without a look inside; brackets are counted. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/gs;

/** Splits an object, known to be well formed, into the texts of its members. */
function members(text: string): Members {
  const found = new Map<string, string>();
  let depth = 0;
  let name: string | undefined;
  let start = -1;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const closing = token === "}" || token === "]";
    if (depth === 1 && name !== undefined && (token === "," || closing)) {
      found.set(name, text.slice(start, index).trimEnd());
      name = undefined;
    } else if (depth === 1 && name === undefined && token.startsWith('"')) {
      name = JSON.parse(token) as string;
      start = -1;
    } else if (depth === 1 && name !== undefined && start === -1 && token !== ":") {
      start = index;
    }
    depth += token === "{" || token === "[" ? 1 : closing ? -1 : 0;
  }
  return found;
}

/** Whether two texts are the same value. Order and escapes do not matter; numbers are the same only as written. */
export function isSame(one: string | undefined, other: string | undefined): boolean {
  return one === other || (one !== undefined && other !== undefined && canonical(one) === canonical(other));
}

function canonical(text: string): string {
  // Numbers become strings that no string of the text can equal, for JSON has no bare NUL.
  const asWritten = text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/gs, (token) =>
    token.startsWith('"') ? token : JSON.stringify(`\0${token}`),
  );
  return JSON.stringify(JSON.parse(asWritten), (_, value) =>
    value !== null && typeof value === "object" && !Array.isArray(value)
      ? Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
      : value,
  );
}
