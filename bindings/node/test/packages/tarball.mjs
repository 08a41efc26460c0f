// @ts-check
/**
 * Finds packed npm packages and reads their manifests.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

const REPOSITORY = fileURLToPath(new URL("../../../..", import.meta.url));

/** The folder to which `cargo xtask pack` writes them, independent of cargo's target directory. */
export const folder = process.env.TOKENKEEP_TARBALLS ?? join(REPOSITORY, "target", "npm");

/** A tar header and every file in it is a multiple of this (POSIX ustar). */
const BLOCK = 512;

/**
 * Returns the text of one file in a tar archive.
 *
 * @param {Buffer} archive
 * @param {string} wanted
 */
function fileIn(archive, wanted) {
  let offset = 0;
  while (offset + BLOCK <= archive.length) {
    const name = archive.toString("utf8", offset, offset + 100).replace(/\0.*$/s, "");
    const size = parseInt(archive.toString("latin1", offset + 124, offset + 136), 8);
    if (name === wanted) {
      return archive.toString("utf8", offset + BLOCK, offset + BLOCK + size);
    }
    offset += BLOCK * (1 + Math.ceil((size || 0) / BLOCK));
  }
  throw new Error(`the tarball has no ${wanted}`);
}

/**
 * @typedef {object} Tarball
 * @property {string} file
 * @property {Buffer} content
 * @property {{ name: string, version: string }} manifest
 */

/** Returns every packed package. @returns {Tarball[]} */
export function tarballs() {
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".tgz")) : [];
  if (files.length === 0) {
    throw new Error(`no tarballs in ${folder}; make them with: cargo xtask pack`);
  }
  return files.map((file) => {
    const content = readFileSync(join(folder, file));
    return { file, content, manifest: JSON.parse(fileIn(gunzipSync(content), "package/package.json")) };
  });
}
