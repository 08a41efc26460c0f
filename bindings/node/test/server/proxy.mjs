// @ts-check
/**
 * A proxy of Redis' protocol between a client and a server, which fails as it is told.
 */
import { once } from "node:events";
import { connect, createServer } from "node:net";

/** @typedef {import("../support/scratch.mjs").Scope} Scope */

/**
 * The treatment of requests and connections: `pass` requests on; `refuse` connections, and cut those that are open; take connections and be `silent`;
 * `freeze`, so that requests arrive and no answer does; `hold` requests, which arrive when it passes again; answer half and `cut` the connection; answer `rubbish`; or answer every request
 * with an error of the server, which begins with `-`.
 *
 * @typedef {"pass" | "refuse" | "silent" | "freeze" | "hold" | "cut" | "rubbish" | `-${string}`} Mode
 */

/** The number of whole requests in these bytes, and the bytes that are left. @param {Buffer} bytes */
function requests(bytes) {
  let [count, at] = [0, 0];
  for (;;) {
    const text = bytes.toString("latin1", at);
    const head = /^\*(\d+)\r\n/.exec(text);
    if (!head) {
      return { count, rest: bytes.subarray(at) };
    }
    let end = head[0].length;
    for (let word = 0; word < Number(head[1]); word++) {
      const length = /^\$(\d+)\r\n/.exec(text.slice(end));
      if (!length) {
        return { count, rest: bytes.subarray(at) };
      }
      end += length[0].length + Number(length[1]) + 2;
    }
    if (end > text.length) {
      return { count, rest: bytes.subarray(at) };
    }
    [count, at] = [count + 1, at + end];
  }
}

/** Starts a proxy to the server at `target`. @param {Scope} scope @param {number} target */
export async function startProxy(scope, target) {
  /** @type {Mode} */
  let mode = "pass";
  /** @type {Set<import("node:net").Socket>} */
  const open = new Set();
  /** @type {(() => unknown)[]} */
  let held = [];
  const cutAll = () => {
    for (const socket of open) {
      socket.destroy();
    }
  };

  const proxy = createServer((client) => {
    open.add(client);
    const server = connect(target, "127.0.0.1");
    for (const socket of [client, server]) {
      socket.on("error", () => {});
      socket.once("close", () => {
        open.delete(client);
        client.destroy();
        server.destroy();
      });
    }
    if (mode === "refuse") {
      client.destroy();
      return;
    }
    /** @type {Buffer} */
    let pending = Buffer.alloc(0);
    client.on("data", (bytes) => {
      if (mode === "silent") {
        return;
      }
      if (mode === "rubbish") {
        client.write("HTTP/1.1 400 Bad Request\r\n\r\n");
        return;
      }
      if (mode.startsWith("-")) {
        const { count, rest } = requests(Buffer.concat([pending, bytes]));
        pending = rest;
        client.write(`${mode}\r\n`.repeat(count));
        return;
      }
      if (mode === "hold") {
        held.push(() => server.write(bytes));
        return;
      }
      server.write(bytes);
    });
    server.on("data", (bytes) => {
      if (mode === "cut") {
        client.end(bytes.subarray(0, Math.ceil(bytes.length / 2)));
      } else if (mode === "pass" || mode === "hold") {
        client.write(bytes);
      }
    });
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  scope.after(() => {
    cutAll();
    proxy.close();
  });
  const { port } = /** @type {import("node:net").AddressInfo} */ (proxy.address());
  return {
    url: `redis://127.0.0.1:${port}`,
    /** @param {Mode} next */
    set(next) {
      const [before, waiting] = [mode, held];
      [mode, held] = [next, []];
      for (const send of waiting) {
        send();
      }
      if (mode === "refuse" || (mode === "pass" && before !== "hold")) {
        // What a connection has not answered, it never will.
        cutAll();
      }
    },
  };
}
