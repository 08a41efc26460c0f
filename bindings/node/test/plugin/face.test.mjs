// @ts-check
/** `ts/face.ts` says what the addon exports; this compares it with what Rust exports. */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";

/** @param {string} name as Rust has it */
const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

/** The parameters of a list, without those in brackets of any kind. @param {string} list */
function parameters(list) {
  let depth = 0;
  const flat = [...list.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "").replace(/=>|->/g, "")].filter((letter) => {
    depth += "<([{".includes(letter) ? 1 : ">)]}".includes(letter) ? -1 : 0;
    return depth === 0;
  });
  return flat
    .join("")
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
}

/** What each class of Rust's exports, with the number of arguments that JavaScript gives. */
async function exported() {
  /** @type {Record<string, Record<string, number>>} */
  const classes = {};
  const sources = new URL("../../src/", import.meta.url);
  for (const file of await readdir(sources)) {
    let owner = "Addon";
    const text = await readFile(new URL(file, sources), "utf8");
    const items =
      /^(?:impl (\w+) \{|\})|#\[napi([^\]]*)\]\n(?:\s*(?:#\[|\/\/).*\n)*\s*pub fn (\w+)(?:<[^>]*>)?\(([\s\S]*?)\)(?: ->| \{)/gm;
    for (const [whole, block, kind = "", name = "", list = ""] of text.matchAll(items)) {
      if (block !== undefined || whole === "}") {
        owner = block ?? "Addon";
        continue;
      }
      const given = parameters(list).filter((one) => !/^&?(mut )?self$|: &?('env )?Env$/.test(one));
      classes[owner] ??= {};
      Object.assign(classes[owner], { [kind.includes("constructor") ? "new" : camel(name)]: given.length });
    }
  }
  return classes;
}

/** The same of an interface in `ts/face.ts`. @param {string} face @param {string} name */
function described(face, name) {
  const body =
    new RegExp(`^export (?:interface|type) ${name}(?: =)? \\{\\n([\\s\\S]*?)^\\}`, "m").exec(face)?.[1] ?? "";
  /** @type {Record<string, number>} */
  const methods = {};
  for (const [, method = "", list = ""] of body.matchAll(
    /^ {2}(\w+)\(([\s\S]*?)\): (?:[\w "|]+|\{[^}]*\});/gm,
  )) {
    methods[method] = parameters(list).length;
  }
  return methods;
}

test("the addon exports what face.ts describes, with as many arguments", async () => {
  const face = await readFile(new URL("../../ts/face.ts", import.meta.url), "utf8");
  const rust = await exported();
  const shapes = { Addon: "Addon", Channel: "NativeChannel", Cache: "NativeCache", Lock: "NativeLock" };
  for (const [owner, name] of Object.entries(shapes)) {
    const there = rust[owner] ?? {};
    const here = described(face, name);
    assert.ok(Object.keys(here).length > 0, `nothing was found of ${name}`);
    for (const [method, count] of Object.entries(here)) {
      assert.equal(there[method], count, `${name}.${method}`);
    }
    // Functions of the module may be for tests, or described where the server's store uses them.
    const own = owner === "Addon" ? [] : Object.keys(there);
    for (const method of own.filter((one) => one !== "new" && one !== "within")) {
      assert.ok(method in here, `${owner}.${method} is not described`);
    }
  }
});
