"""Draws the plots of docs/benchmarks.md: plots.py RESULTS DIRECTORY"""
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
# The same figures must give the same bytes.
matplotlib.rcParams.update({"svg.hashsalt": "tokenkeep", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
import matplotlib.pyplot as plt  # noqa: E402

# Distinct without colour as well.
STYLES = {
    "tokenkeep": ("#0a6", "o", "-"),
    "tokenkeep, cached": ("#0a6", "s", "--"),
    "original 5.6.0": ("#c33", "^", "-"),
    "Python 1.3.1": ("#36c", "v", "-"),
    "Go 0.1.1": ("#83c", "d", "-"),
    "bare calls": ("#555", "x", ":"),
    "bare calls, cached": ("#999", "+", ":"),
}


def draw(plot, cells, directory):
    figure, axes = plt.subplots(figsize=(5.2, 3.4))
    for side in dict.fromkeys(side for cell in cells for side in cell["sides"]):
        points = [(cell["x"], cell["sides"][side]["ms"]) for cell in cells if side in cell["sides"]]
        xs = [x for x, _ in points]
        medians = [metric["median"] for _, metric in points]
        colour, marker, line = STYLES.get(side, ("#000", ".", "-"))
        axes.plot(xs, medians, color=colour, marker=marker, linestyle=line, label=side, markersize=4)
        lows, highs = ([pick(metric["rounds"]) for _, metric in points] for pick in (min, max))
        axes.fill_between(xs, lows, highs, color=colour, alpha=0.12, linewidth=0)
    axes.set(title=plot["title"], xlabel=plot["axis"], ylabel="ms", xscale="log", yscale="log")
    axes.grid(True, which="major", linewidth=0.3)
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(directory / plot["file"], metadata={"Date": None, "Title": plot["title"]})
    plt.close(figure)


def main():
    results, directory = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    for plot in results["plots"]:
        cells = [cell for cell in results["results"] if cell["group"] == plot["group"]]
        if not cells:
            raise SystemExit(f"the results hold no group {plot['group']!r}")
        draw(plot, cells, directory)


main()
