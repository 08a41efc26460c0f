// @ts-check
/** Reads criterion's estimates for the core's parts, in the form of a cell's results. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { size } from "./figures.mjs";

/**
 * Returns one result for each group of benchmarks and each size; its sides are the functions of the group. Figures
 * are megabytes a second where criterion knows the bytes of a call, otherwise milliseconds. The bounds of the 95 %
 * confidence interval stand in place of rounds.
 *
 * @param {string} directory where criterion keeps its estimates
 * @returns {import("../goals.mjs").Result[]}
 */
export function criterion(directory) {
  /** @type {Map<string, import("../goals.mjs").Result>} */
  const results = new Map();
  for (const path of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    if (!path.endsWith(join("new", "benchmark.json"))) {
      continue;
    }
    const file = join(directory, path);
    const benchmark = JSON.parse(readFileSync(file, "utf8"));
    const { median } = JSON.parse(readFileSync(join(dirname(file), "estimates.json"), "utf8"));
    const bytes = benchmark.throughput?.Bytes;
    /** @param {number} nanoseconds */
    const figure = (nanoseconds) =>
      bytes === undefined ? nanoseconds / 1e6 : bytes / (1 << 20) / (nanoseconds / 1e9);
    const [outer, side] =
      benchmark.value_str === null || benchmark.function_id === null
        ? benchmark.group_id.split("/")
        : [benchmark.group_id, benchmark.function_id];
    const x = benchmark.value_str === null ? undefined : Number(benchmark.value_str);
    const name = x === undefined ? "once" : size(x);
    const result = results.get(`${outer} ${name}`) ?? {
      group: `core ${outer}`,
      name,
      x,
      unit: "",
      sides: {},
    };
    result.unit = bytes === undefined ? "ms" : "MB/s";
    const { lower_bound, upper_bound } = median.confidence_interval;
    result.sides[side] = {
      [result.unit]: {
        median: figure(median.point_estimate),
        rounds: [lower_bound, median.point_estimate, upper_bound].map(figure),
      },
    };
    results.set(`${outer} ${name}`, result);
  }
  if (results.size === 0) {
    throw new Error(`criterion left nothing in ${directory}`);
  }
  return [...results.values()].sort((a, b) => a.group.localeCompare(b.group) || (a.x ?? 0) - (b.x ?? 0));
}
