// What the command says without its executable, in the executable's own forms: text, or one JSON object.
import { VERSION } from "../version";
import { expected, type Finding } from "./findings";

/** As the executable's. */
const SCHEMA_VERSION = 1;

const TITLE = "npm package";

interface Section {
  title: string;
  facts: { name: string; value: string }[];
}

/** What can be told of this machine without the executable. */
export function doctorWithout(json: boolean, findings: Finding[]): string {
  const section = installation();
  if (json) {
    return print({ schemaVersion: SCHEMA_VERSION, version: VERSION, sections: [section], findings });
  }
  const count = findings.length === 1 ? "1 finding" : `${findings.length} findings`;
  return `${sectionText(section)}\n${count}\n${findings.map(findingText).join("")}`;
}

/** The executable's report with one finding more, or what it printed where that is none. */
export function withFindings(
  output: string,
  json: boolean,
  finding: Finding,
): { text: string; isReport: boolean } {
  if (!json) {
    // Nothing was printed: it refused its arguments, and has said so.
    const isReport = output !== "";
    const text = isReport ? `${sectionText(installation())}${findingText(finding)}\n${output}` : output;
    return { text, isReport };
  }
  const report = parsed(output);
  if (!Array.isArray(report?.findings) || !Array.isArray(report.sections)) {
    return { text: output, isReport: false };
  }
  report.sections.unshift(installation());
  report.findings.unshift(finding);
  return { text: print(report), isReport: true };
}

/** Says why a command cannot be run: as the executable says its own failures. */
export function fail(json: boolean, { code, message, remedy }: Finding): void {
  const kind = code.replaceAll("-", "_");
  if (json) {
    process.stdout.write(print({ schemaVersion: SCHEMA_VERSION, error: { kind, message, remedy } }));
  } else {
    process.stderr.write(`tokenkeep: ${message} (${kind}). ${remedy}\n`);
  }
}

function installation(): Section {
  const { platform, name } = expected();
  const facts = [
    { name: "tokenkeep", value: VERSION },
    { name: "node", value: process.version },
    { name: "platform", value: platform },
    { name: "expected package", value: name === undefined ? "none is published" : `${name}@${VERSION}` },
  ];
  return { title: TITLE, facts };
}

function sectionText({ title, facts }: Section): string {
  const width = Math.max(...facts.map(({ name }) => name.length));
  return `${title}\n${facts.map(({ name, value }) => `  ${name.padEnd(width)}  ${value}\n`).join("")}`;
}

function findingText({ severity, code, message, remedy }: Finding): string {
  return `  ${severity} [${code}] ${message}\n          -> ${remedy}\n`;
}

function parsed(text: string): { sections?: unknown[]; findings?: unknown[] } | undefined {
  try {
    return JSON.parse(text);
  } catch {
    // No report; it is shown as it is.
    return undefined;
  }
}

function print(object: object): string {
  return `${JSON.stringify(object, null, 2)}\n`;
}
