// @ts-check
/** Computes how fast the cost of each side grows: one slope for each curve of a `growth` group. */
import { slope } from "./figures.mjs";

/** The unit of a slope. @type {Record<string, { unit: string, of: number }>} */
const UNITS = {
  bytes: { unit: "MB", of: 1 << 20 },
  accounts: { unit: "1,000 accounts", of: 1_000 },
};

/** @param {import("../goals.mjs").Result[]} results @returns {import("../goals.mjs").Result[]} */
export function slopes(results) {
  const groups = new Set(results.map(({ group }) => group).filter((group) => group.startsWith("growth ")));
  return [...groups].map((group) => {
    const cells = results.filter((result) => result.group === group);
    const { unit, of } = UNITS[group.endsWith("accounts") ? "accounts" : "bytes"];
    /** @type {import("../goals.mjs").Result["sides"]} */
    const sides = {};
    for (const side of Object.keys(cells[0].sides)) {
      const points = cells.map((cell) => ({ x: cell.x ?? 0, y: cell.sides[side].ms.median }));
      const median = slope(points) * of;
      sides[side] = { ms: { median, rounds: [median] } };
    }
    return { group: "growth slopes", name: `${group.slice("growth ".length)}: per ${unit}`, sides };
  });
}
