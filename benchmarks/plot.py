#!/usr/bin/env python3
"""Plots the figures of fused_ssim_benchmark: time against pixels, with the floors as lines.

    plot.py FOLDER FILE.json...     writes FOLDER/NAME.png for each NAME.json
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from figures import OPERATIONS, Figures
from matplotlib import pyplot

LINES = {
    "composition_step": ("plain composition, step", "tab:gray"),
    "composition_value": ("plain composition, value", "silver"),
    "autograd_step": ("autograd step", "tab:purple"),
    "value_and_grad": ("value and gradient", "tab:blue"),
    "value": ("value", "tab:green"),
    "copy": ("copy of one image", "tab:orange"),
}


def draw(run, threads, axes):
    values = lambda shape: run["value_and_grad", shape, "float32", threads].counters["values"]
    # Batches do not lie on the line of single images.
    shapes = [shape for shape in run.shapes() if shape.count("x") == 1]
    for operation, (label, colour) in LINES.items():
        seen = [(values(s) / 3, run.seconds(operation, s, threads=threads)) for s in shapes]
        seen = [(pixels, seconds * 1e3) for pixels, seconds in seen if seconds is not None]
        if seen:
            axes.plot(*zip(*seen), "o-", color=colour, label=label, markersize=4)
        if operation in OPERATIONS:
            floor = [(values(s) / 3, run.floor(operation, s, threads) * 1e3) for s in shapes]
            axes.plot(*zip(*floor), "--", color=colour, linewidth=1,
                      label=f"floor: {OPERATIONS[operation]} operations a value")  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="pixels of 3 channels", ylabel="ms")
    axes.set_title(f"{run.title()}, {threads} thread(s)" if run.device == "cpu" else run.title(), fontsize=10)
    axes.grid(True, which="major", linewidth=0.4)


def main(folder, paths):
    for path in paths:
        run = Figures(path)
        threads = run.threads()
        figure, axes = pyplot.subplots(1, len(threads), figsize=(6.4 * len(threads), 4.8), squeeze=False, sharey=True)
        for count, one in zip(threads, axes[0]):
            draw(run, count, one)
        axes[0][0].legend(fontsize=7, loc="upper left")
        figure.tight_layout()
        written = Path(folder) / (Path(path).stem + ".png")
        figure.savefig(written, dpi=120)
        print(f"plot: {written}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
