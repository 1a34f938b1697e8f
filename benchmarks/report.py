#!/usr/bin/env python3
"""Prints tables in Markdown: the figures of fused_ssim_benchmark, and how they compare with what is wanted.

    report.py FILE.json...
"""

import sys

from figures import Figures

LARGE = ("545x980", "1080x1920", "2160x3840")
AT = "1080x1920"  # what the variants are measured at


class Wanted:
    """Collects wanted and measured figures. A row without figures in the run is left out."""

    def __init__(self):
        self.rows = []

    def __call__(self, what, where, seen, limit, at_most, form):
        if seen is None:
            return
        met = seen <= limit if at_most else seen >= limit
        sign = "<=" if at_most else ">="
        self.rows.append((what, where, f"{sign} {form(limit)}", form(seen), "yes" if met else "**no**"))


def ratio(a, b):
    return None if a is None or b is None else a / b


def times(x):
    return f"{x:.2f}" if x < 10 else f"{x:.1f}"


def percent(x):
    return f"{100 * x:.0f} %"


def microseconds(x):
    return f"{x * 1e6:.1f} us"


def mebibytes(x):
    return f"{x / 2**20:.2f} MiB"


def kibibytes(x):
    return f"{x / 2**10:.0f} KiB"


def variants(wanted, run, threads, limits):
    """The time of each variant over that of float32, and of RGBA over that of HWC bytes."""
    where = f"{AT}, threads {threads}" if run.device == "cpu" else AT
    for variant, limit in {**limits, "uint8_rgba": 1.10}.items():
        operation = "autograd_step" if variant == "both_gradients" else "value_and_grad"
        base = "uint8_hwc" if variant == "uint8_rgba" else "float32"
        seen = ratio(run.seconds(operation, AT, variant, threads), run.seconds(operation, AT, base, threads))
        # Rounded, because the third digit does not matter.
        wanted(f"{variant} / {base}", where, seen and round(seen, 2), limit, True, times)


def ms_ssim(wanted, run, threads):
    """A pyramid has 1.33 times the pixels of its image. Beyond the gradient it takes memory for
    both images and the gradient at the coarser scales, which is 1 image."""
    for shape in [s for s in LARGE if s in run.shapes("ms_ssim_value_and_grad")]:
        where = f"{shape}, threads {threads}" if run.device == "cpu" else shape
        figure = run["ms_ssim_value_and_grad", shape, "float32", threads]
        seen = ratio(
            run.seconds("ms_ssim_step", shape, threads=threads), run.seconds("ssim_step", shape, threads=threads)
        )
        wanted("ms_ssim_step / ssim_step", where, seen, 1.7, True, times)
        seen = ratio(
            run.seconds("composition_ms_ssim_step", shape, threads=threads),
            run.seconds("ms_ssim_step", shape, threads=threads),
        )
        wanted("composition / ms_ssim_step", where, seen, 20, False, times)
        if figure.extra_bytes is not None:
            images = figure.extra_bytes / (4 * figure.counters["values"])
            wanted("memory of MS-SSIM beyond the gradient, in images", where, images, 1.5, True, times)


def cpu_wanted(run):
    wanted = Wanted()
    # The wanted share of the peak, for value and gradient and for the value.
    # Other sets have none.
    shares = {"avx512": (0.60, 0.45), "avx2": (0.72, 0.55)}.get(run.context["instruction_set"])
    for shape in [s for s in LARGE if s in run.shapes()]:
        for i, (operation, composition, factor) in enumerate(
            (("value_and_grad", "composition_step", 45), ("value", "composition_value", 40))
        ):
            if shares:
                seen = run.floor(operation, shape) / run.seconds(operation, shape)
                wanted(f"{operation}, share of the peak", f"{shape}, threads 1", seen, shares[i], False, percent)
            for threads in run.threads():
                seen = ratio(
                    run.seconds(composition, shape, threads=threads),
                    run.seconds(operation, shape, threads=threads),
                )
                wanted(f"composition / {operation}", f"{shape}, threads {threads}", seen, factor, False, times)
        seen = ratio(run.seconds("value_and_grad", shape), run.seconds("value_and_grad", shape, threads=2))
        wanted("value_and_grad, 2 threads over 1", shape, seen, 1.7, False, times)
    for threads in run.threads():
        where = f"threads {threads}"
        seen = ratio(
            run.seconds("autograd_step", AT, threads=threads), run.seconds("value_and_grad", AT, threads=threads)
        )
        wanted("autograd_step / value_and_grad", f"{AT}, {where}", seen, 1.15, True, times)
        seen = ratio(
            run.seconds("composition_step", "64x64", threads=threads),
            run.seconds("value_and_grad", "64x64", threads=threads),
        )
        wanted("composition / value_and_grad", f"64x64, {where}", seen, 20, False, times)
        seen = ratio(
            run.seconds("composition_step", AT, "float64", threads),
            run.seconds("value_and_grad", AT, "float64", threads),
        )
        wanted("composition / value_and_grad, float64", f"{AT}, {where}", seen, 8, False, times)
        extra = [run["value_and_grad", shape, "float32", threads].extra_bytes for shape in run.shapes()]
        if None not in extra:
            wanted("memory beyond the gradient", f"largest, {where}", max(extra), 4 * 2**20, True, mebibytes)
        # The cost of a window is proportional to its taps; 11 taps cost 1.
        limits = {
            "uint8_target": 1.10, "permuted": 1.25, "bfloat16": 1.25, "float16": 1.25, "mask": 1.20,
            "both_gradients": 1.40, "window_7": 1.00, "window_31": 31 / 11,
            "error_map": 1.15, "error_map_of_loss": 1.15, "smooth_l1": 1.05,
        }  # fmt: skip
        variants(wanted, run, threads, limits)
        ms_ssim(wanted, run, threads)
    return wanted.rows


def cuda_wanted(run):
    wanted = Wanted()
    limits = {
        "value_and_grad": {
            "64x64": 18, "256x256": 22, "545x980": 38, "1080x1920": 75, "2160x3840": 240, "5x5x1080x1920": 560,
            "32x3x128x128": 55,
        },
        "value": {"545x980": 20, "1080x1920": 40, "2160x3840": 115},
    }  # fmt: skip
    for operation, shapes in limits.items():
        for shape, limit in shapes.items():
            wanted(operation, shape, run.seconds(operation, shape), limit * 1e-6, True, microseconds)
    limits = {
        "uint8_target": 1.00, "float16": 1.00, "bfloat16": 1.00, "permuted": 1.10, "mask": 1.15,
        "permuted_mask": 1.20, "permuted_uint8_target": 1.20, "permuted_mask_uint8_target": 1.20,
        "both_gradients": 1.20, "window_3": 1.10, "window_5": 1.10, "window_7": 1.10, "window_9": 1.10,
        "window_13": 1.10, "window_15": 1.10, "window_17": 1.10, "window_19": 1.80, "window_31": 1.80,
        "error_map": 1.15, "error_map_of_loss": 1.15, "smooth_l1": 1.05,
    }  # fmt: skip
    variants(wanted, run, 1, limits)
    ms_ssim(wanted, run, 1)
    for shape in run.shapes():
        figure = run["value_and_grad", shape, "float32", 1]
        limit = 64 * 2**10 + 8 * figure.counters["values"] / 1000
        wanted("memory beyond the gradient", shape, figure.extra_bytes, limit, True, kibibytes)
    for shape in run.shapes("host_autograd_step"):
        seen = ratio(run.seconds("host_autograd_step", shape), run.seconds("host_empty_step", shape))
        wanted("host time of a step / of an empty one", shape, seen, 1.3, True, times)
    for shape in [s for s in LARGE if s in run.shapes()]:
        seen = ratio(run.seconds("graph_replay", shape), run.seconds("value_and_grad", shape))
        wanted("graph_replay / value_and_grad", shape, seen, 1.05, True, times)
    return wanted.rows


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def figures_table(run):
    """Every row: its time, and its ratios to the peak, the composition and a copy."""
    unit, factor = ("us", 1e6) if run.device == "cuda" else ("ms", 1e3)
    operations = ["copy", "value", "value_and_grad", "autograd_step", "graph_replay",
                  "ssim_step", "ms_ssim_value_and_grad", "ms_ssim_step", "composition_value",
                  "composition_step", "composition_ms_ssim_step", "host_autograd_step", "host_empty_step"]  # fmt: skip
    rows = []
    for operation in operations:
        for key in sorted(run.keys(operation), key=lambda k: (run[k].counters.get("values", 0), k[2], k[3])):
            _, shape, variant, threads = key
            figure = run[key]
            share = copies = rate = extra = composition = ""
            if operation in ("value", "value_and_grad") and variant == "float32":
                share = percent(run.floor(operation, shape, threads) / figure.seconds)
            if not operation.startswith("host"):
                if ("copy", shape, "float32", threads) in run:
                    copies = times(figure.seconds / run.seconds("copy", shape, threads=threads))
                rate = f"{figure.gigabytes_per_second:.1f}"
                plain = "composition_value" if operation == "value" else "composition_step"
                by = ratio(run.seconds(plain, shape, variant, threads), figure.seconds)
                if by is not None and operation in ("value", "value_and_grad", "autograd_step", "graph_replay"):
                    composition = times(by)
            if figure.extra_bytes is not None:
                extra = f"{figure.extra_bytes / 2**20:.2f}"
            rows.append((operation, shape, variant, threads, f"{figure.seconds * factor:.4g}", share, composition,
                         copies, rate, extra))  # fmt: skip
    header = ["operation", "size", "variant", "threads", unit, "of the peak", "times faster than composition",
              "in copies", "GB/s", "extra MiB"]  # fmt: skip
    if run.device == "cuda":
        header.pop(3)
        rows = [row[:3] + row[4:] for row in rows]
    return table(header, rows)


def report(run):
    context = run.context
    print(f"## {run.title()}\n")
    about = [f"{key} {context[key]}" for key in ("commit", "machine", "gpu_driver", "torch", "date") if key in context]
    print("; ".join(about) + f"; load {context['load_avg'][0] if context['load_avg'] else '?'} at the start.")
    peak = f"{run.peak() / 1e9:.4g}"
    if run.device == "cpu":
        peak = " and ".join(f"{run.peak(t) / 1e9:.4g} with {t} thread(s)" for t in run.threads())
    print(f"Peak: {peak} billion multiply-adds a second.\n")
    print(table(["what", "where", "wanted", "seen", "met"], (cpu_wanted if run.device == "cpu" else cuda_wanted)(run)))
    print(f"\nAll rows, medians:\n\n{figures_table(run)}\n")


if __name__ == "__main__":
    for path in sys.argv[1:]:
        report(Figures(path))
