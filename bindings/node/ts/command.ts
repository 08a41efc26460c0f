// The command `tokenkeep` of the npm package: finds the executable that the platform's package carries and becomes it as far
// as a process can. What it says itself is only what the executable cannot: that it is not there, or the addon does not load.
import { type Finding, findExecutable, lookAtAddon } from "./command/findings";
import { doctorWithout, fail, withFindings } from "./command/report";
import { type Ended, run, runForOutput } from "./command/run";

/** Exit codes, as docs/cli.md lists them. */
const FAILED = 1;
const FINDINGS = 3;

/** Options of every command that are followed by their value. */
const WITH_VALUE = new Set(["--color", "--timeout"]);

/** Options that ask for a text, whatever the command. */
const TEXTS = new Set(["-h", "--help", "-V", "--version"]);

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`tokenkeep: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = FAILED;
});

async function main(words: string[]): Promise<void> {
  const json = words.includes("--json");
  const isDoctor = command(words) === "doctor" && !words.some((word) => TEXTS.has(word));
  const found = findExecutable();
  const addon = isDoctor ? lookAtAddon() : undefined;
  if ("finding" in found) {
    without(isDoctor, json, found.finding, addon);
    return;
  }
  try {
    end(addon === undefined ? await run(found.path, words) : await beside(found.path, words, json, addon));
  } catch (error) {
    without(isDoctor, json, found.unusable(error as Error), addon);
  }
}

/** The first word that is no option. */
function command(words: string[]): string | undefined {
  return words.find((word, at) => !word.startsWith("-") && !WITH_VALUE.has(words[at - 1] ?? ""));
}

/** The executable's own examination, and with it the finding that only this side can have. */
async function beside(path: string, words: string[], json: boolean, addon: Finding): Promise<Ended> {
  const { output, ended } = await runForOutput(path, words);
  const { text, isReport } = withFindings(output, json, addon);
  process.stdout.write(text);
  return isReport && ended.code === 0 ? { code: FINDINGS, signal: null } : ended;
}

function without(isDoctor: boolean, json: boolean, missing: Finding, addon: Finding | undefined): void {
  if (isDoctor) {
    // One cause, one finding: a package that is not there has no addon either.
    const findings = addon === undefined || addon.code === missing.code ? [missing] : [addon, missing];
    process.stdout.write(doctorWithout(json, findings));
    process.exitCode = FINDINGS;
  } else {
    fail(json, missing);
    process.exitCode = FAILED;
  }
}

/** Ends as the executable did: with its code, or by the signal that ended it. */
function end({ code, signal }: Ended): void {
  if (signal !== null) {
    process.kill(process.pid, signal);
    return;
  }
  process.exitCode = code ?? FAILED;
}
