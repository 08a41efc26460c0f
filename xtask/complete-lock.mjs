// Completes package-lock.json in the current folder. A registry mirror may lack the packages that a tool offers for
// other platforms; npm then leaves them out of the lock file, and `npm ci` refuses that file everywhere. Their names,
// versions and platforms are known without fetching them, so they are added here.
import { readFileSync, writeFileSync } from "node:fs";

const FILE = "package-lock.json";
const SYSTEMS = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "sunos", "win32"];
const PROCESSORS = ["arm", "arm64", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "x64"];
const LIBRARIES = { gnu: "glibc", musl: "musl" };

const lock = JSON.parse(readFileSync(FILE, "utf8"));
const added = [];
for (const owner of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(owner.optionalDependencies ?? {})) {
    const place = `node_modules/${name}`;
    const words = name.split(/[/-]/);
    const system = words.find((word) => SYSTEMS.includes(word));
    const processor = words.find((word) => PROCESSORS.includes(word));
    if (lock.packages[place] || !system || !processor) {
      continue;
    }
    const library = LIBRARIES[words.at(-1)];
    lock.packages[place] = {
      version,
      cpu: [processor],
      ...(owner.dev && { dev: true }),
      ...(library && { libc: [library] }),
      ...(owner.license && { license: owner.license }),
      optional: true,
      os: [system],
    };
    added.push(name);
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
if (added.length > 0) {
  writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`);
}
console.log(`${FILE}: ${added.length} platform packages added`);
