// @ts-check
/**
 * What lies in a keyring, as seen by somebody else's program (`secret-tool`, of libsecret).
 */
import { run } from "./processes.mjs";
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
 * Stores an item as `secret-tool store` does: schema-less but for libsecret's generic one.
 *
 * @param {import("./session.mjs").Session} session
 * @param {string} service
 * @param {string} account
 * @param {string} secret
 */
export async function store(session, service, account, secret) {
  requireTools("secret-tool");
  const args = ["store", `--label=${service}/${account}`, "service", service, "account", account];
  const { code, stderr } = await run("secret-tool", args, { env: session.env, input: secret });
  if (code !== 0) {
    throw new Error(`secret-tool store: ${stderr}`);
  }
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
