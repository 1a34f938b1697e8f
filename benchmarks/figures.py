"""Reads the output of fused_ssim_benchmark. A figure is the median of the repetitions of a row."""

import json
import statistics
from dataclasses import dataclass
from pathlib import Path

# Lane operations of SSIM for each value (docs/performance.md).
OPERATIONS = {"value_and_grad": 195, "value": 90}
SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}
# float32 lanes of a multiprocessor, where they are not 128.
GPU_LANES = {"7.5": 64, "8.0": 64}


@dataclass
class Figure:
    seconds: float
    counters: dict  # of one repetition

    @property
    def gigabytes_per_second(self):
        return self.counters["bytes"] / self.seconds / 1e9

    @property
    def extra_bytes(self):
        return self.counters.get("extra_bytes")


class Figures:
    """The rows of one run: figures[operation, shape, variant, threads]."""

    def __init__(self, path):
        report = json.loads(Path(path).read_text())
        self.context = report["context"]
        repetitions = {}
        for row in report["benchmarks"]:
            if row["run_type"] == "iteration":
                self.device, *key = row["name"].split("/")[:5]
                key[3] = int(key[3].removeprefix("threads:"))
                repetitions.setdefault(tuple(key), []).append(row)
        self._figures = {
            key: Figure(
                statistics.median(row["real_time"] * SECONDS[row["time_unit"]] for row in rows),
                rows[0],
            )
            for key, rows in repetitions.items()
        }

    def __contains__(self, key):
        return key in self._figures

    def __getitem__(self, key):
        return self._figures[key]

    def keys(self, operation):
        return [key for key in self._figures if key[0] == operation]

    def seconds(self, operation, shape, variant="float32", threads=1):
        """None if the run has no such row."""
        figure = self._figures.get((operation, shape, variant, threads))
        return figure and figure.seconds

    def shapes(self, operation="value_and_grad"):
        """The sizes that the operation was timed at, the smallest image first."""
        found = {key[1]: self[key].counters["values"] for key in self.keys(operation)}
        return sorted(found, key=found.get)

    def threads(self):
        return sorted({key[3] for key in self._figures})

    def peak(self, threads=1):
        """Multiply-adds of float32 a second: measured on the CPU, computed from clock and lanes on a GPU."""
        if self.device == "cuda":
            lanes = GPU_LANES.get(self.context["gpu_capability"], 128)
            return int(self.context["gpu_multiprocessors"]) * lanes * float(self.context["gpu_clock_hz"])
        figure = self._figures["multiply_add", "none", "float32", threads]
        return figure.counters["operations"] / figure.seconds

    def floor(self, operation, shape, threads=1):
        """Seconds that the arithmetic alone takes."""
        values = self._figures[operation, shape, "float32", threads].counters["values"]
        return OPERATIONS[operation] * values / self.peak(threads)

    def title(self):
        if self.device == "cuda":
            return self.context["gpu_name"]
        return f"CPU, {self.context['instruction_set']}"
