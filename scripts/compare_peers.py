#!/usr/bin/env python3
"""Times pytorch-msssim, torchmetrics and kornia beside fused_ssim, on the same images, and
prints tables in Markdown. Run scripts/benchmark.sh first: it sets up and builds.

    scripts/compare_peers.py [--repetitions N] [--fused-ssim DIR]

The packages come from PyPI, without their dependencies, into a folder of their own under
~/.cache/fused_ssim. The installed torch stays as it is. A step is the value and the gradient
of 0.8 L1 + 0.2 (1 - SSIM), forward and backward. A value is the mean SSIM alone. An MS-SSIM step
is that of 1 - MS-SSIM, which pytorch-msssim has with the same semantics. DIR is a checkout of
rahul-goel/fused-ssim, which its own setup.py builds; it runs on CUDA alone.

On the CPU a figure is the median of N calls, and the packages take turns. The figures of
fused_ssim come from its own program, which runs just before. On CUDA a figure is the median of
Triton's do_bench.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fused_ssim"
PEERS = CACHE / "peers"
PROGRAM = ROOT / "build/benchmark/benchmarks/fused_ssim_benchmark"
PACKAGES = [
    "pytorch-msssim==1.0.0",
    "torchmetrics==1.9.0", "lightning-utilities==0.15.3", "packaging==25.0",
    "kornia==0.9.0", "kornia-rs==0.2.0", "numpy==2.2.6",
]  # fmt: skip
SHAPES = {"cpu": ["545x980", "1080x1920"], "cuda": ["545x980", "1080x1920", "2160x3840"]}


def restart_with_torch():
    """Starts this script again under a Python that has torch and the packages, with a warm heap."""
    python = sys.executable
    if subprocess.run([python, "-c", "import torch"], capture_output=True).returncode:
        python = str(CACHE / "venv/bin/python")
    installed = PEERS / "installed"  # lists what is there
    if not installed.exists() or installed.read_text() != "\n".join(PACKAGES):
        print("compare_peers: installing", *PACKAGES, file=sys.stderr)
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--upgrade"]
        subprocess.run([*pip, "--target", str(PEERS), *PACKAGES], check=True)
        installed.write_text("\n".join(PACKAGES))
    environment = dict(os.environ, PYTHONPATH=str(PEERS))
    # As fused_ssim_benchmark does: keep freed memory, so that the times include
    # no page faults.
    environment["GLIBC_TUNABLES"] = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=2147483647"
    environment["FUSED_SSIM_COMPARE_PEERS"] = "restarted"
    os.execve(python, [python, *sys.argv], environment)


if "FUSED_SSIM_COMPARE_PEERS" not in os.environ:
    restart_with_torch()

import torch

sys.path.insert(0, str(ROOT / "benchmarks"))
from figures import Figures


def peers():
    import kornia.metrics
    import pytorch_msssim
    import torchmetrics.functional.image

    # "same" if the package has it. pytorch-msssim has "valid" only.
    return {
        "pytorch-msssim": lambda x, y: pytorch_msssim.ssim(x, y, data_range=1.0),
        "torchmetrics": lambda x, y: torchmetrics.functional.image.structural_similarity_index_measure(
            x, y, data_range=1.0
        ),
        "kornia": lambda x, y: kornia.metrics.ssim(x, y, 11).mean(),
    }


def ms_ssim_peers():
    import pytorch_msssim

    return {"pytorch-msssim": lambda x, y: pytorch_msssim.ms_ssim(x, y, data_range=1.0)}


def fused_ssim_of(checkout):
    """The function of a checkout of fused-ssim, built into a folder of its own."""
    folder = CACHE / "peers-fused-ssim"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--upgrade"]
    subprocess.run([*pip, "--no-build-isolation", "--target", str(folder), str(checkout)], check=True)
    sys.path.insert(0, str(folder))
    import fused_ssim

    return lambda x, y: fused_ssim.fused_ssim(x, y, train=torch.is_grad_enabled())


def images(shape, device):
    """The images of benchmarks/problem.cpp, by the same generator, seed and order."""
    height, width = map(int, shape.split("x"))
    torch.manual_seed(0)
    target = torch.randint(0, 256, (3, height, width), dtype=torch.uint8)
    x = target.float() / 255 * 0.8 + 0.2 * torch.rand(3, height, width)
    return x.unsqueeze(0).to(device).requires_grad_(), (target.float() / 255).unsqueeze(0).to(device)


def value_of(ssim, x, y):
    with torch.no_grad():
        return ssim(x, y)


def step(ssim, x, y):
    x.grad = None
    (0.8 * (x - y).abs().mean() + 0.2 * (1 - ssim(x, y))).backward()


def ms_ssim_step(ms_ssim, x, y):
    x.grad = None
    (1 - ms_ssim(x, y)).backward()


def ours(device):
    shapes = "|".join(SHAPES[device])
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "ours.json"
        command = [
            PROGRAM, "--benchmark_out=" + str(out), "--benchmark_out_format=json",
            f"--benchmark_filter=^{device}/(value|value_and_grad|autograd_step|ms_ssim_step)/({shapes})/float32/",
        ]  # fmt: skip
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode == 77:
            sys.exit(f"compare_peers: {PROGRAM} has no rows for {device}: was it built with CUDA?")
        if done.returncode:
            sys.exit(f"compare_peers: {PROGRAM} failed:\n{done.stderr}")
        return Figures(out)


def median_on_cpu(calls, repetitions):
    """Seconds of each call; the calls take turns."""
    seconds = {name: [] for name in calls}
    for repetition in range(repetitions + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if repetition > 0:  # the first one warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(all) for name, all in seconds.items()}


def median_on_cuda(calls):
    from triton.testing import do_bench

    return {name: do_bench(call, return_mode="median") * 1e-3 for name, call in calls.items()}


def compare(device, repetitions, all_peers):
    own = ours(device)
    unit, factor = ("us", 1e6) if device == "cuda" else ("ms", 1e3)
    name = torch.cuda.get_device_name() if device == "cuda" else own.title()
    print(f"## {name}, torch {torch.__version__}, float32, 3 channels, {unit}\n")
    header = ["size", "threads", "", "fused_ssim", *all_peers]
    print("| " + " | ".join(header) + " |\n" + "| --- " * len(header) + "|")
    for shape in SHAPES[device]:
        x, y = images(shape, device)
        wanted = own["value", shape, "float32", 1].counters["result"]
        for package, ssim in all_peers.items():
            # The packages treat the border in different ways. Here that changes
            # the value by less than 0.002.
            if abs(value_of(ssim, x, y).item() - wanted) > 0.002:
                sys.exit(f"compare_peers: {package} gives {value_of(ssim, x, y).item()}, fused_ssim {wanted}")
        wanted = 1 - own["ms_ssim_step", shape, "float32", 1].counters["result"]
        for package, ms_ssim in ms_ssim_peers().items():
            if abs(value_of(ms_ssim, x, y).item() - wanted) > 1e-5:
                sys.exit(f"compare_peers: {package} gives {value_of(ms_ssim, x, y).item()}, fused_ssim {wanted}")
        for threads in own.threads():
            torch.set_num_threads(threads)
            for what, operation, run, packages in (
                ("value", "value", value_of, all_peers),
                ("step", "autograd_step", step, all_peers),
                ("MS-SSIM step", "ms_ssim_step", ms_ssim_step, ms_ssim_peers()),
            ):
                calls = {p: (lambda s=ssim, run=run: run(s, x, y)) for p, ssim in packages.items()}
                seconds = median_on_cuda(calls) if device == "cuda" else median_on_cpu(calls, repetitions)
                mine = own.seconds(operation, shape, threads=threads)
                cells = [f"{seconds[p] * factor:.4g} ({seconds[p] / mine:.1f} x)" if p in seconds else "" for p in all_peers]
                print("| " + " | ".join([shape, str(threads), what, f"{mine * factor:.4g}", *cells]) + " |", flush=True)
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5, metavar="N", help="on the CPU; default: 5")
    parser.add_argument("--fused-ssim", type=Path, metavar="DIR", help="a checkout of rahul-goel/fused-ssim")
    arguments = parser.parse_args()
    if arguments.fused_ssim and not (arguments.fused_ssim / "setup.py").exists():
        sys.exit(f"compare_peers: expected a checkout with setup.py, but got {arguments.fused_ssim}")
    if not PROGRAM.exists():
        sys.exit(f"compare_peers: {PROGRAM} is not there; run scripts/benchmark.sh first")
    compare("cpu", arguments.repetitions, peers())
    if torch.cuda.is_available():
        on_cuda = peers()
        if arguments.fused_ssim:
            on_cuda["fused-ssim"] = fused_ssim_of(arguments.fused_ssim)
        compare("cuda", arguments.repetitions, on_cuda)


if __name__ == "__main__":
    main()
