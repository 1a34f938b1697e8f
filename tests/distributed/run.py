"""Runs the tests, or the benchmark, of fused_ssim::distributed in N processes.

torch.distributed makes the process groups and hands their names to the C++ module, which
finds them by c10d::resolve_process_group. So the module needs the same torch as this
Python. Each number of ranks from 1 to N gets a group of its own in the same processes.

    run.py MODULE [--backend gloo|nccl|cpu:gloo,cuda:nccl] [--ranks N] [--cases N]
    run.py MODULE --backend nccl --ranks 2 --benchmark 2160x3840

With NCCL each rank takes the GPU of its number.
"""

import argparse
import ctypes
import os
import signal
import sys
import tempfile
import time


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("--backend", action="append", help="several: one after the other")
    parser.add_argument("--ranks", type=int, default=2, help="the most ranks")
    parser.add_argument("--cases", type=int, default=60, help="random cases for each group")
    parser.add_argument("--benchmark", metavar="HEIGHTxWIDTH")
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--timeout", type=float, default=300, help="seconds for all of it")
    parsed = parser.parse_args()
    parsed.backend = parsed.backend or ["gloo"]
    return parsed


def uses_gpus(options):
    return any("nccl" in backend for backend in options.backend)


def gpus():
    """Their number, asked in a process of its own: no fork may follow the start of CUDA."""
    child = os.fork()
    if child == 0:
        import torch

        os._exit(min(torch.cuda.device_count(), 255))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def work(options, rank, rendezvous):
    """One process. Returns the number of failures."""
    import datetime
    import faulthandler

    import torch
    import torch.distributed as dist

    faulthandler.enable()
    torch.set_num_threads(1 if "gloo" in options.backend else 4)
    if uses_gpus(options):
        torch.cuda.set_device(rank)
    dist.init_process_group(
        options.backend[0],
        init_method="file://" + rendezvous,
        rank=rank,
        world_size=options.ranks,
        timeout=datetime.timedelta(seconds=60),
    )
    module = ctypes.CDLL(options.module)
    failures = 0
    for backend in options.backend:
        device = f"cuda:{rank}" if "nccl" in backend else "cpu"
        counts = [options.ranks] if options.benchmark else range(1, options.ranks + 1)
        for count in counts:
            group = dist.new_group(list(range(count)), backend=backend)
            if rank >= count:
                continue
            name = group.group_name.encode()
            if options.benchmark:
                height, width = map(int, options.benchmark.split("x"))
                failures += module.run_benchmark(
                    name, device.encode(), backend.encode(),
                    ctypes.c_long(height), ctypes.c_long(width), ctypes.c_long(options.repetitions))
            else:
                failures += module.run_tests(name, device.encode(), ctypes.c_long(options.cases))
    dist.barrier()
    dist.destroy_process_group()
    return failures


def main():
    options = arguments()
    rendezvous = os.path.join(tempfile.mkdtemp(), "rendezvous")
    # Once for all processes: importing torch is what takes longest.
    import torch
    import torch.distributed

    if uses_gpus(options) and gpus() < options.ranks:
        print(f"skipped: {options.ranks} ranks need as many GPUs, and there are {gpus()}")
        return 77
    children = []
    for rank in range(options.ranks):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = min(work(options, rank, rendezvous), 100)
            except BaseException as error:  # reported by the exit status
                print(f"rank {rank}: {error}", file=sys.stderr)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        children.append(child)

    failed, end = False, time.monotonic() + options.timeout
    while children and not failed:
        if time.monotonic() > end:
            print(f"no end after {options.timeout} s", file=sys.stderr)
            failed = True
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            time.sleep(0.05)
            continue
        children.remove(child)
        if status != 0:
            # Below 0: the signal that ended it; above: failures.
            print(f"a rank ended with status {os.waitstatus_to_exitcode(status)}", file=sys.stderr)
            failed = True
    for child in children:  # they would wait for the one that failed
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    print("failed" if failed else "passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
