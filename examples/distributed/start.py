"""Starts N processes that optimise one picture together, each some rows of it.

    start.py build/release/examples/liboptimize_strips.so photo.png sheet.png [--ranks 3] [--steps 30]

torch.distributed makes the process group; the C++ module finds it by its name. Needs the
torch that the module was built with. On GPUs a trainer would pass backend="nccl".
"""

import argparse
import ctypes
import sys
import tempfile

import torch.distributed as dist
import torch.multiprocessing as multiprocessing


def work(rank, options, rendezvous):
    dist.init_process_group(
        "gloo", init_method="file://" + rendezvous, rank=rank, world_size=options.ranks)
    module = ctypes.CDLL(options.module)
    group = dist.group.WORLD.group_name
    status = module.optimize_strips(
        group.encode(), options.target.encode(), options.sheet.encode(), options.steps)
    dist.destroy_process_group()
    sys.exit(status)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("target")
    parser.add_argument("sheet")
    parser.add_argument("--ranks", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.start_processes(
            work, (options, folder + "/rendezvous"), nprocs=options.ranks, start_method="fork")
