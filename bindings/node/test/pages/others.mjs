// @ts-check
/**
 * The packages of other people, packed again from the folder in which the tests have them installed. With them a program of
 * a page installs offline.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const TESTS = fileURLToPath(new URL("..", import.meta.url));

/** Every installed package by its place, such as `node_modules/a/node_modules/b`. @type {Record<string, { version: string }>} */
const { packages: INSTALLED } = JSON.parse(readFileSync(join(TESTS, "package-lock.json"), "utf8"));

/**
 * Returns every installed version of a package, the one at the top of the folder last.
 *
 * @param {string} name
 * @returns {import("../packages/tarball.mjs").Tarball[]}
 */
export function installed(name) {
  const places = Object.keys(INSTALLED).filter((place) => place.endsWith(`node_modules/${name}`));
  places.sort((a, b) => b.length - a.length);
  return places.map((place) => {
    const folder = join(TESTS, place);
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const archive = ["--create", "--gzip", "--exclude=./node_modules", "--transform=s,^[.],package,"];
    const content = execFileSync("tar", [...archive, "--directory", folder, "."], { maxBuffer: 1 << 28 });
    return { file: `${name.replace("/", "-")}-${manifest.version}.tgz`, content, manifest };
  });
}
