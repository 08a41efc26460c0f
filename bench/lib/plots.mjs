// @ts-check
/** Lists the groups of cells that `plots.py` draws and that are shown with their tables. */

const SIZE = "size of the cache, bytes";

/** @type {{ group: string, title: string, axis: string }[]} */
const PLOTS = [
  { group: "file reload", title: "Read with reload, file", axis: SIZE },
  { group: "file write", title: "Write cycle, file", axis: SIZE },
  { group: "keyring reload", title: "Read with reload, Secret Service", axis: SIZE },
  { group: "keyring write", title: "Write cycle, Secret Service", axis: SIZE },
  { group: "contention", title: "200 writes by each of several processes", axis: "processes" },
  { group: "one process", title: "Write cycles at once on one plugin", axis: "cycles" },
  { group: "growth reload", title: "Read with reload against size", axis: SIZE },
  { group: "growth write", title: "Write cycle against size", axis: SIZE },
  { group: "growth reload, accounts", title: "Read with reload against people", axis: "accounts" },
  { group: "growth write, accounts", title: "Write cycle against people", axis: "accounts" },
];

/** The plots of a report, each with the name of its file. */
export const plots = PLOTS.map((plot) => ({ ...plot, file: `${plot.group.replaceAll(/\W+/g, "-")}.svg` }));
