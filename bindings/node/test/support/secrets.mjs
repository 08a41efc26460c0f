// @ts-check
/**
 * Reads a keyring with another program (`secret-tool`, of libsecret).
 */
import { output, run } from "./processes.mjs";
import { requireTools } from "./tools.mjs";

/**
 * The secret of keytar's item, or null when there is none.
 *
 * @param {import("./session.mjs").Session} session
 * @param {string} service
 * @param {string} account
 */
export async function lookup(session, service, account) {
  requireTools("secret-tool");
  const { code, stdout, stderr } = await run(
    "secret-tool",
    ["lookup", "service", service, "account", account],
    {
      env: session.env,
    },
  );
  if (code !== 0 && stderr) {
    throw new Error(`secret-tool lookup: ${stderr}`);
  }
  return code === 0 ? stdout : null;
}

/**
 * Stores an item of keytar's shape. `secret-tool` itself writes no schema, and keytar finds no item without one.
 *
 * @param {import("./session.mjs").Session} session
 * @param {{ service: string, account: string, [more: string]: string }} attributes
 * @param {string} secret
 * @param {string} [label]
 */
export async function store(session, attributes, secret, label = "stored by a test") {
  requireTools("secret-tool");
  const shape = { "xdg:schema": "org.freedesktop.Secret.Generic", ...attributes };
  const args = ["store", `--label=${label}`, ...Object.entries(shape).flat()];
  await output("secret-tool", args, { env: session.env, input: secret });
}

/**
 * Everything secret-tool prints about matching items: attributes, label, schema, collection.
 *
 * @param {import("./session.mjs").Session} session
 * @param {Record<string, string>} attributes
 */
export async function search(session, attributes) {
  requireTools("secret-tool");
  const args = ["search", "--all", ...Object.entries(attributes).flat()];
  // secret-tool prints the attributes to stderr and the rest to stdout.
  const { stdout, stderr } = await run("secret-tool", args, { env: session.env });
  return stdout + stderr;
}
