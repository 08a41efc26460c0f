// @ts-check
/** Writes the figures as Markdown: a table for each group, with its plot, and a table for the goals. */
import { short } from "./figures.mjs";

/** @param {any} report */
export function tables({ machine, rounds, results, goals, plots }) {
  const about =
    `${machine.processors} × ${machine.processor} (${machine.architecture}), ${machine.memoryGB} GB, ` +
    `Linux ${machine.kernel}, ${machine.fileSystem}, Node.js ${machine.node}; median of ${rounds} rounds, ` +
    "smallest and largest in brackets.";
  const groups = [...new Set(results.map((/** @type {any} */ result) => result.group))];
  const parts = groups.map((group) => {
    const cells = results.filter((/** @type {any} */ one) => one.group === group);
    const plot = plots.find((/** @type {any} */ one) => one.group === group);
    return table(group, cells) + (plot ? `\n\n![${plot.title}](benchmarks/${plot.file})` : "");
  });
  return `${about}\n\n${verdict(goals)}\n\n${parts.join("\n\n")}\n`;
}

/** @param {string} group @param {any[]} cells */
function table(group, cells) {
  const metrics = [...new Set(cells.flatMap(({ sides }) => Object.values(sides).flatMap(Object.keys)))];
  const sides = [...new Set(cells.flatMap((cell) => Object.keys(cell.sides)))];
  const single = metrics.length === 1;
  const head = [single ? `${group} (${metrics[0]})` : group, ...(single ? [] : ["metric"]), ...sides];
  const rows = cells.flatMap((cell) =>
    metrics.map((metric) => {
      const figures = sides.map((side) => figure(cell.sides[side]?.[metric]));
      return [cell.name, ...(single ? [] : [metric]), ...figures];
    }),
  );
  return markdown([head, head.map(() => "---"), ...rows]);
}

/** @param {{ median: number, rounds: number[] } | undefined} metric */
function figure(metric) {
  if (metric === undefined) {
    return "";
  }
  const [least, most] = [Math.min(...metric.rounds), Math.max(...metric.rounds)];
  return least === most ? short(metric.median) : `${short(metric.median)} (${short(least)}–${short(most)})`;
}

/** @param {any[]} goals */
function verdict(goals) {
  const rows = goals.map(({ goal, where, measured, met }) => [
    goal,
    where,
    measured,
    met ? "met" : "**missed**",
  ]);
  return markdown([["goal", "where", "measured", ""], ["---", "---", "---", "---"], ...rows]);
}

/** @param {string[][]} rows */
function markdown(rows) {
  return rows.map((row) => `| ${row.join(" | ")} |`).join("\n");
}
