"""Draws the plots of docs/benchmarks.md: plots.py RESULTS DIRECTORY"""
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
# The same figures must give the same bytes.
matplotlib.rcParams.update({"svg.hashsalt": "tokenkeep", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
import matplotlib.pyplot as plt  # noqa: E402

PLOTS = [
    # file, title, group, x axis
    ("file-write", "Write cycle, file", "file write", "size of the cache, bytes"),
    ("file-reload", "Read with reload, file", "file reload", "size of the cache, bytes"),
    ("keyring-write", "Write cycle, Secret Service", "keyring write", "size of the cache, bytes"),
    ("keyring-reload", "Read with reload, Secret Service", "keyring reload", "size of the cache, bytes"),
    ("contention", "200 writes by each of several processes", "contention", "processes"),
    ("one-process", "Write cycles at once on one plugin", "one process", "cycles"),
    ("growth-write", "Write cycle against size", "growth write", "size of the cache, bytes"),
    ("growth-reload", "Read with reload against size", "growth reload", "size of the cache, bytes"),
]
# Distinguished without colour, too.
STYLES = {
    "tokenkeep": ("#0a6", "o", "-"),
    "tokenkeep, cached": ("#0a6", "s", "--"),
    "original 5.6.0": ("#c33", "^", "-"),
    "Python 1.3.1": ("#36c", "v", "-"),
    "Go 0.1.1": ("#83c", "d", "-"),
    "bare calls": ("#555", "x", ":"),
    "bare calls, cached": ("#999", "+", ":"),
}


def draw(name, title, cells, axis, directory):
    figure, plot = plt.subplots(figsize=(5.2, 3.4))
    for side in dict.fromkeys(side for cell in cells for side in cell["sides"]):
        points = [(cell["x"], cell["sides"][side]["ms"]) for cell in cells if side in cell["sides"]]
        xs = [x for x, _ in points]
        medians = [metric["median"] for _, metric in points]
        colour, marker, line = STYLES.get(side, ("#000", ".", "-"))
        plot.plot(xs, medians, color=colour, marker=marker, linestyle=line, label=side, markersize=4)
        lows, highs = ([pick(metric["rounds"]) for _, metric in points] for pick in (min, max))
        plot.fill_between(xs, lows, highs, color=colour, alpha=0.12, linewidth=0)
    plot.set(title=title, xlabel=axis, ylabel="ms", xscale="log", yscale="log")
    plot.grid(True, which="major", linewidth=0.3)
    plot.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(directory / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def main():
    results, directory = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    for name, title, group, axis in PLOTS:
        cells = [cell for cell in results["results"] if cell["group"] == group]
        if not cells:
            raise SystemExit(f"the results hold no group {group!r}")
        draw(name, title, cells, axis, directory)


main()
