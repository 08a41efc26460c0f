// @ts-check
/**
 * Writes the hashes by which a packed main package knows what it may load: `natives.mjs FILE PLATFORM=ADDON[,COMMAND]...`.
 * The file that it takes the place of is made of bindings/node/ts/natives.ts.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const [file = "", ...platforms] = process.argv.slice(2);

/** @param {string} path */
const hash = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");

const natives = Object.fromEntries(
  platforms.map((words) => {
    const [platform = "", paths = ""] = words.split("=");
    const [addon = "", command] = paths.split(",");
    return [platform, { addon: hash(addon), ...(command && { command: hash(command) }) }];
  }),
);
writeFileSync(file, `"use strict";\n\nexports.NATIVES = ${JSON.stringify(natives, null, 2)};\n`);
