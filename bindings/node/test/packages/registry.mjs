// @ts-check
/**
 * A small npm registry. It serves the packed packages of this repository as if they were published, and redirects npm
 * to its configured registry for all others.
 *
 * Users do not install from files: aliases and overrides take names and versions, and an optional dependency that no
 * registry has breaks `npm ci`.
 */
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { output } from "../support/processes.mjs";

/** @param {Buffer} content @param {string} algorithm @param {"hex" | "base64"} encoding */
const digest = (content, algorithm, encoding) => createHash(algorithm).update(content).digest(encoding);

const A_MONTH_MS = 30 * 24 * 60 * 60 * 1_000;

/**
 * Returns the document that npm requests by package name: one entry for each version, the last of which is the newest.
 *
 * @param {import("./tarball.mjs").Tarball[]} tarballs
 * @param {string} origin
 */
function packument(tarballs, origin) {
  /** @type {Record<string, object>} */
  const versions = {};
  /** @type {Record<string, string>} */
  const time = {};
  let latest = "";
  for (const { file, content, manifest } of tarballs) {
    latest = manifest.version;
    // Some package managers refuse packages that were published a moment ago.
    time[latest] = new Date(Date.now() - A_MONTH_MS).toISOString();
    const dist = {
      tarball: `${origin}/-/packed/${encodeURIComponent(file)}`,
      shasum: digest(content, "sha1", "hex"),
      integrity: `sha512-${digest(content, "sha512", "base64")}`,
    };
    versions[latest] = { ...manifest, dist };
  }
  return { name: tarballs[0]?.manifest.name, time, "dist-tags": { latest }, versions };
}

/**
 * Serves until the scope ends.
 *
 * @param {import("../support/scratch.mjs").Scope} scope
 * @param {import("./tarball.mjs").Tarball[]} tarballs
 * @param {(name: string) => import("./tarball.mjs").Tarball[]} [others] the packages of other people, in place of npm's
 *   configured registry
 * @returns {Promise<string>} the origin, for `npm_config_registry`
 */
export async function startRegistry(scope, tarballs, others) {
  const upstream = (await output("npm", ["config", "get", "registry"])).trim().replace(/\/$/, "");
  const served = [...tarballs];
  let origin = "";
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", origin).pathname);
    const packed = served.find(({ file }) => path === `/-/packed/${file}`);
    if (packed) {
      response.writeHead(200, { "content-type": "application/octet-stream" }).end(packed.content);
      return;
    }
    const isNamed = (/** @type {import("./tarball.mjs").Tarball} */ { manifest }) =>
      path === `/${manifest.name}`;
    if (others && !served.some(isNamed)) {
      served.push(...others(path.slice(1)));
    }
    const named = served.filter(isNamed);
    if (named.length > 0) {
      const document = JSON.stringify(packument(named, origin));
      response.writeHead(200, { "content-type": "application/json" }).end(document);
    } else if (others) {
      response.writeHead(404).end();
    } else {
      response.writeHead(307, { location: `${upstream}${request.url}` }).end();
    }
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", () => resolve(undefined));
  });
  scope.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  origin = `http://127.0.0.1:${port}`;
  return origin;
}
