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
 * Returns the document that npm requests by package name.
 *
 * @param {import("./tarball.mjs").Tarball} tarball
 * @param {string} origin
 */
function packument({ file, content, manifest }, origin) {
  const dist = {
    tarball: `${origin}/-/packed/${file}`,
    shasum: digest(content, "sha1", "hex"),
    integrity: `sha512-${digest(content, "sha512", "base64")}`,
  };
  return {
    name: manifest.name,
    // Some package managers refuse packages that were published a moment ago.
    time: { [manifest.version]: new Date(Date.now() - A_MONTH_MS).toISOString() },
    "dist-tags": { latest: manifest.version },
    versions: { [manifest.version]: { ...manifest, dist } },
  };
}

/**
 * Serves until the scope ends.
 *
 * @param {import("../support/scratch.mjs").Scope} scope
 * @param {import("./tarball.mjs").Tarball[]} tarballs
 * @returns {Promise<string>} the origin, for `npm_config_registry`
 */
export async function startRegistry(scope, tarballs) {
  const upstream = (await output("npm", ["config", "get", "registry"])).trim().replace(/\/$/, "");
  let origin = "";
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", origin).pathname);
    const packed = tarballs.find(({ file }) => path === `/-/packed/${file}`);
    const named = tarballs.find(({ manifest }) => path === `/${manifest.name}`);
    if (packed) {
      response.writeHead(200, { "content-type": "application/octet-stream" }).end(packed.content);
    } else if (named) {
      const document = JSON.stringify(packument(named, origin));
      response.writeHead(200, { "content-type": "application/json" }).end(document);
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
