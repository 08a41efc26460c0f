// Runs the executable in the place of this process: same arguments, same terminal, and signals passed on.
import { type ChildProcess, spawn } from "node:child_process";

/** How it ended: by itself, or by a signal. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** What people, service managers and shells end a process with. */
const PASSED_ON: NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Rejects when it cannot be started. */
export function run(path: string, words: string[]): Promise<Ended> {
  return ended(() => spawn(path, words, { stdio: "inherit", windowsHide: true }));
}

/** The same, with what it prints kept; rejects when it cannot be started. */
export async function runForOutput(path: string, words: string[]): Promise<{ output: string; ended: Ended }> {
  let output = "";
  const how = await ended(() => {
    const child = spawn(path, words, { stdio: ["inherit", "pipe", "inherit"], windowsHide: true });
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    return child;
  });
  return { output, ended: how };
}

async function ended(start: () => ChildProcess): Promise<Ended> {
  let child: ChildProcess | undefined;
  // Before the start: a signal that comes in between would end this process alone.
  const handlers = PASSED_ON.map((signal) => {
    // A terminal has told the executable already when it is Ctrl-C; a program that sent it here alone has not. Who was told
    // cannot be seen from here, and the executable takes both for one. On Windows every program at the console is told, and
    // passing it on would be ending the executable in the middle of what it does.
    const handler = () => {
      if (process.platform !== "win32") {
        child?.kill(signal);
      }
    };
    process.on(signal, handler);
    return { signal, handler };
  });
  try {
    const started = start();
    child = started;
    return await new Promise<Ended>((resolve, reject) => {
      started.once("error", reject);
      started.once("close", (code, signal) => resolve({ code, signal }));
    });
  } finally {
    for (const { signal, handler } of handlers) {
      process.off(signal, handler);
    }
  }
}
