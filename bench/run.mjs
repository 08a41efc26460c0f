// @ts-check
/**
 * Measures every cell and writes the results. All sides run once, one after another, before the next round begins.
 *
 * node run.mjs --out DIRECTORY [--quick] [--rounds N] [--only GROUP]
 *
 * Where TOKENKEEP_BENCH_CRITERION names a folder, the run adds criterion's results from it.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { cells } from "./cells.mjs";
import { verdicts } from "./goals.mjs";
import { criterion } from "./lib/criterion.mjs";
import { median } from "./lib/figures.mjs";
import { machine } from "./lib/machine.mjs";
import { plots } from "./lib/plots.mjs";
import { slopes } from "./lib/slopes.mjs";
import { tables } from "./lib/tables.mjs";

const { values } = parseArgs({
  options: {
    out: { type: "string" },
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    only: { type: "string" },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 3 : 5));
if (!values.out || !Number.isInteger(rounds) || rounds < 1) {
  throw new Error("usage: node run.mjs --out DIRECTORY [--quick] [--rounds N] [--only GROUP]");
}

const began = performance.now();
/** @type {import("./goals.mjs").Result[]} */
const results = [];
const chosen = cells({ quick: values.quick }).filter(
  ({ group }) => !values.only || group.includes(values.only),
);
for (const [place, cell] of chosen.entries()) {
  process.stderr.write(`[${place + 1}/${chosen.length}] ${cell.group}, ${cell.name} …`);
  /** @type {import("./goals.mjs").Result["sides"]} */
  const sides = {};
  for (let round = 0; round < Math.min(rounds, cell.rounds ?? rounds); round += 1) {
    for (const [side, run] of Object.entries(cell.sides)) {
      for (const [metric, value] of Object.entries(await run())) {
        sides[side] ??= {};
        sides[side][metric] ??= { median: 0, rounds: [] };
        sides[side][metric].rounds.push(value);
      }
    }
  }
  for (const metrics of Object.values(sides)) {
    for (const metric of Object.values(metrics)) {
      metric.median = median(metric.rounds);
    }
  }
  const { group, name, x, unit } = cell;
  results.push(/** @type {any} */ ({ group, name, x, unit, sides }));
  const figures = Object.entries(sides).map(([side, metrics]) => {
    const [first] = Object.values(metrics);
    return `${side} ${first.median.toPrecision(3)}`;
  });
  process.stderr.write(` ${figures.join(" · ")}\n`);
}
results.push(...slopes(results));
const cores = process.env.TOKENKEEP_BENCH_CRITERION;
if (cores) {
  results.push(...criterion(cores));
}
const goals = verdicts(results);
const seconds = Math.round((performance.now() - began) / 1000);
const report = { machine: machine(), rounds, quick: values.quick, seconds, results, goals, plots };
writeFileSync(join(values.out, "results.json"), `${JSON.stringify(report, rounded, 1)}\n`);
writeFileSync(join(values.out, "tables.md"), tables(report));
const missed = goals.filter(({ met }) => !met);
process.stderr.write(`${goals.length - missed.length} of ${goals.length} goals met in ${seconds} s\n`);
for (const { goal, where, measured } of missed) {
  process.stderr.write(`  missed: ${goal} (${where}): ${measured}\n`);
}

/** @param {string} _key @param {unknown} value */
function rounded(_key, value) {
  return typeof value === "number" ? Number(value.toPrecision(4)) : value;
}
