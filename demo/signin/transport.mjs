// @ts-check
/**
 * The ways in which a program reaches the offline sign-in service: in the same process, over a loopback socket, or
 * not at all.
 *
 * MSAL demands https authorities. Programs therefore keep the real address of the authority and replace the
 * transport: each `...NetworkClient` here is an `INetworkModule` for `system.networkClient`.
 */
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * @typedef {import("./service.mjs").SignInService} SignInService
 * @typedef {import("./service.mjs").Request} Request
 * @typedef {import("./service.mjs").Response} Response
 * @typedef {{ headers?: Record<string, string>, body?: string }} Options
 */

/** Carries the host of the authority over a loopback connection. */
const HOST_HEADER = "x-signin-host";

/** More than any token request needs; a larger one is a mistake. */
const MAX_BODY = 1 << 20;

/** @param {(request: Request) => Response | Promise<Response>} send */
function networkClient(send) {
  return {
    /** @param {string} url @param {Options} [options] */
    sendGetRequestAsync: async (url, options) => send({ method: "GET", url, ...options }),
    /** @param {string} url @param {Options} [options] */
    sendPostRequestAsync: async (url, options) => send({ method: "POST", url, ...options }),
  };
}

/**
 * Answers from the service in this process, without a socket.
 *
 * @param {SignInService} service
 */
export function localNetworkClient(service) {
  return networkClient((request) => service.handle(request));
}

/**
 * Rejects every request, with its address: for programs that must not use the network.
 */
export function noNetworkClient() {
  return networkClient(({ method, url }) => {
    throw new Error(`the network is off, but the program asked for ${method} ${url}`);
  });
}

/**
 * Sends requests to the service of another process, which listens at `origin`.
 *
 * @param {string} origin as {@link listen} returned it
 */
export function loopbackNetworkClient(origin) {
  return networkClient(async ({ method, url, headers, body }) => {
    const { host, pathname, search } = new URL(url);
    const answer = await fetch(`${origin}${pathname}${search}`, {
      method,
      headers: { ...headers, [HOST_HEADER]: host },
      body: method === "POST" ? (body ?? "") : undefined,
      redirect: "manual",
    });
    return { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.json() };
  });
}

/**
 * Serves over plain HTTP on a free loopback port until `close()`. Each answer takes `delay` milliseconds.
 *
 * @param {SignInService} service
 * @param {{ delay?: number }} [options]
 */
export async function listen(service, { delay = 0 } = {}) {
  const server = createServer(async (incoming, outgoing) => {
    let body = "";
    for await (const piece of incoming.setEncoding("utf8")) {
      body += piece;
      if (body.length > MAX_BODY) {
        outgoing.writeHead(413).end();
        return;
      }
    }
    const host = incoming.headers[HOST_HEADER] ?? incoming.headers.host;
    if (delay > 0) {
      await sleep(delay);
    }
    const answer = service.handle({
      method: incoming.method ?? "GET",
      url: `https://${host}${incoming.url}`,
      body,
    });
    const isText = typeof answer.body === "string";
    outgoing.writeHead(answer.status, {
      "content-type": isText ? "text/html" : "application/json",
      ...answer.headers,
    });
    outgoing.end(isText ? answer.body : JSON.stringify(answer.body));
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", () => resolve(undefined));
  });
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

/**
 * Acts as the user and the browser: opens the sign-in page and posts its form to the program, as
 * `acquireTokenInteractive({ openBrowser })` expects.
 *
 * @param {SignInService} service
 */
export function browser(service) {
  return /** @param {string} address */ async (address) => {
    const page = service.handle({ method: "GET", url: address });
    const { searchParams } = new URL(address);
    if (page.status === 302) {
      await fetch(page.headers.location ?? "");
      return;
    }
    const fields = new URLSearchParams();
    for (const [, name = "", value = ""] of page.body.matchAll(/name="([^"]*)" value="([^"]*)"/g)) {
      fields.set(
        name,
        value.replace(/&#(\d+);/g, (/** @type {string} */ _, /** @type {string} */ code) =>
          String.fromCharCode(Number(code)),
        ),
      );
    }
    await fetch(searchParams.get("redirect_uri") ?? "", { method: "POST", body: fields });
  };
}
