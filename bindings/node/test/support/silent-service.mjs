// @ts-check
/**
 * A program that takes the name of the Secret Service on a bus and never answers. It uses as much of D-Bus as that
 * needs: authenticate, say hello, request the name.
 */
import { createConnection } from "node:net";
import { until } from "./processes.mjs";

/** One field of a message's header: a code and a value with its type. @param {number} code @param {"s" | "o" | "g"} type @param {string} value */
function field(code, type, value) {
  const text = Buffer.from(value);
  const length = type === "g" ? Buffer.from([text.length]) : Buffer.alloc(4);
  if (type !== "g") {
    length.writeUInt32LE(text.length);
  }
  return Buffer.concat([Buffer.from([code, 1, type.charCodeAt(0), 0]), length, text, Buffer.from([0])]);
}

/** @param {Buffer} bytes */
const padded = (bytes) => Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);

/** A call of the bus itself. @param {number} serial @param {string} member @param {string} signature @param {Buffer} body */
function call(serial, member, signature, body) {
  const bus = "org.freedesktop.DBus";
  const fields = [
    field(1, "o", "/org/freedesktop/DBus"),
    field(2, "s", bus),
    field(3, "s", member),
    field(6, "s", bus),
    ...(signature ? [field(8, "g", signature)] : []),
  ];
  const last = /** @type {Buffer} */ (fields.pop());
  const array = Buffer.concat([...fields.map(padded), last]);
  const head = Buffer.alloc(16);
  head.write("l");
  head[1] = 1;
  head[3] = 1;
  head.writeUInt32LE(body.length, 4);
  head.writeUInt32LE(serial, 8);
  head.writeUInt32LE(array.length, 12);
  return Buffer.concat([padded(Buffer.concat([head, array])), body]);
}

/**
 * Takes the name on the bus at `path`, until the scope ends.
 *
 * @param {string} path @param {string} name @param {import("./scratch.mjs").Scope} scope
 */
export async function serveSilence(path, name, scope) {
  const socket = createConnection(path);
  scope.after(() => socket.destroy());
  let answer = Buffer.alloc(0);
  socket.on("data", (bytes) => {
    answer = Buffer.concat([answer, bytes]);
  });
  const uid = Buffer.from(String(process.getuid?.() ?? 0)).toString("hex");
  socket.write(`\0AUTH EXTERNAL ${uid}\r\n`);
  await until("the bus lets the silent service in", () => answer.includes("OK "));
  socket.write("BEGIN\r\n");
  socket.write(call(1, "Hello", "", Buffer.alloc(0)));
  const text = Buffer.from(`${name}\0`);
  const body = Buffer.alloc(4);
  body.writeUInt32LE(text.length - 1);
  const request = padded4(Buffer.concat([body, text]));
  socket.write(call(2, "RequestName", "su", Buffer.concat([request, Buffer.alloc(4)])));
  await until(
    "the silent service has its name",
    () => answer.includes("NameAcquired") && answer.includes(name),
  );
}

/** @param {Buffer} bytes */
const padded4 = (bytes) => Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
