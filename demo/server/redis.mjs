// @ts-check
/**
 * A Redis for the demo: on loopback, in a temporary directory, ended with the demo.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How long it may take to come up, in milliseconds. */
const PATIENCE = 30_000;

/** A port that was free a moment ago. @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = /** @type {import("node:net").AddressInfo} */ (probe.address());
      probe.close(() => resolve(port));
    });
  });
}

/** Starts Redis, which writes everything to its disk before it answers. `start` begins again with the same content. */
export async function startRedis() {
  const [directory, port] = [await mkdtemp(join(tmpdir(), "tokenkeep-demo-redis-")), await freePort()];
  const words = ["--bind", "127.0.0.1", "--port", String(port), "--dir", directory];
  words.push("--save", "", "--appendonly", "yes", "--appendfsync", "always");
  /** @type {import("node:child_process").ChildProcess} */
  let child;
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      await gone;
    }
  };
  const start = async () => {
    child = spawn("redis-server", words, { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error("Redis did not come up")), PATIENCE);
      child.once("error", () => {
        clearTimeout(late);
        reject(new Error("redis-server is missing: sudo apt-get install -y redis-server"));
      });
      child.stdout?.on("data", (piece) => {
        if (String(piece).includes("Ready to accept connections")) {
          clearTimeout(late);
          resolve(undefined);
        }
      });
    });
  };
  process.on("exit", () => {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  });
  await start();
  return { url: `redis://127.0.0.1:${port}`, start, stop };
}
