// @ts-check
/**
 * Loaded before a real program: its requests to the sign-in service are answered by the offline one in this process, all others
 * fail. The person approves at once.
 */
import { pathToFileURL } from "node:url";

/** The folder `demo/signin`, by which a copy in a project finds it. */
const { SignInService } = await import(`${pathToFileURL(process.env.SIGN_IN ?? "")}/service.mjs`);
const service = new SignInService();

globalThis.fetch = async (
  /** @type {string | URL | Request} */ input,
  /** @type {RequestInit | undefined} */ init,
) => {
  const request = new Request(input, init);
  const url = new URL(request.url);
  if (
    process.env.OFFLINE === "1" ||
    !/(^|\.)(microsoftonline\.com|login\.windows\.net)$/.test(url.hostname)
  ) {
    throw new TypeError(`fetch failed: the network is off, but the program asked for ${url.origin}`);
  }
  const body = request.method === "GET" ? undefined : await request.text();
  const {
    status,
    headers,
    body: answer,
  } = service.handle({ method: request.method, url: request.url, body });
  return new Response(JSON.stringify(answer), { status, headers });
};
