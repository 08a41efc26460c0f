// The command `tokenkeep` of the npm package: finds the executable in the platform's package, runs it with the same
// arguments on the same terminal, and ends as it ended. Says in one line what only this side can know: that there is no
// executable, or, beside `doctor`, that the addon does not load.
import { spawn } from "node:child_process";
import { executablePath, loadAddon, reinstall } from "./handle/locate";
import { platformName } from "./handle/platform-name";

/** The exit code of a failure, as docs/cli.md lists it. */
const FAILED = 1;

/** The signals by which users, service managers and shells end a process. */
const PASSED_ON: NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];

const words = process.argv.slice(2);

try {
  const path = executablePath();
  if (words.includes("doctor")) {
    tellOfAddon();
  }
  run(path);
} catch (error) {
  fail(error as Error);
}

/** The executable cannot see whether Node can load the addon. */
function tellOfAddon(): void {
  try {
    loadAddon();
  } catch (error) {
    process.stderr.write(`tokenkeep: programs in Node.js cannot use any store: ${line(error as Error)}\n`);
  }
}

function run(path: string): void {
  let child: ReturnType<typeof spawn> | undefined;
  for (const signal of PASSED_ON) {
    // Before the start: a signal that comes in between would end this process alone. A terminal has told the executable
    // already when it is Ctrl-C; a program that sent it here alone has not. The executable takes both for one. On Windows
    // every program at the console is told, and passing it on would end the executable in the middle of its work.
    process.on(signal, () => void (process.platform === "win32" || child?.kill(signal)));
  }
  child = spawn(path, words, { stdio: "inherit", windowsHide: true });
  child.once("error", ({ message }) => {
    fail(
      new Error(`The executable cannot be started: ${message}. ${reinstall(`tokenkeep-${platformName()}`)}`),
    );
  });
  child.once("close", (code, signal) => {
    if (signal !== null) {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    } else if (code !== null && code >= 0) {
      process.exitCode = code;
    }
  });
}

/** One line, or with `--json` the object by which the executable says its own failures. */
function fail(error: Error): void {
  process.exitCode = FAILED;
  const message = line(error);
  if (words.includes("--json")) {
    const kind = (error as NodeJS.ErrnoException).code ?? "command_missing";
    process.stdout.write(
      `${JSON.stringify({ schemaVersion: 1, error: { kind, message, help: `docs/errors.md#${kind}` } })}\n`,
    );
  } else {
    process.stderr.write(`tokenkeep: ${message}\n`);
  }
}

/** Without what Node adds to an error of loading: the files that asked, a line each. */
function line({ message }: Error): string {
  return message.split("\n", 1).join();
}
