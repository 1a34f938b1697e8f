#!/usr/bin/env bash
# Builds fused_ssim::distributed with its tests and nothing else, runs the tests in several
# processes over Gloo and NCCL, and times a split image against a whole one. For a machine
# with GPUs, one for each rank; without a GPU it does the same over Gloo alone.
#
#   scripts/distributed.sh [--ranks N] [--size HEIGHTxWIDTH] [--cases N] [--no-tests] [--no-benchmark]
#
# Needs CMake, Ninja, a compiler, and a python3 with torch, whose LibTorch is used; and nvcc
# for GPUs. scripts/setup.sh sets that up on Debian and Ubuntu.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU' || true)
ranks=$gpus size=2160x3840 cases=200 tests=1 benchmark=1
usage() {
  echo "usage: scripts/distributed.sh [--ranks N] [--size HxW] [--cases N] [--no-tests] [--no-benchmark]" >&2
  exit 2
}
while [ $# != 0 ]; do
  case $1 in
    --ranks | --size | --cases)
      [ $# -ge 2 ] || usage
      declare "${1#--}=$2"
      shift
      ;;
    --no-tests) tests=0 ;;
    --no-benchmark) benchmark=0 ;;
    *) usage ;;
  esac
  shift
done
[ "$ranks" -gt 0 ] || ranks=2

cd "$root"
if [ -e build/environment.sh ]; then
  source build/environment.sh
elif [ -z "${CMAKE_PREFIX_PATH:-}${Torch_DIR:-}" ]; then
  CMAKE_PREFIX_PATH=$(python3 -c 'import torch; print(torch.utils.cmake_prefix_path)')
  export CMAKE_PREFIX_PATH
fi
if [ "$gpus" != 0 ] && [ -z "${CUDAARCHS:-}" ]; then
  CUDAARCHS=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | tr -d . | sort -un | paste -sd';')
  export CUDAARCHS
fi
build=build/distributed
cmake -S tests/distributed -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release
cmake --build $build
if cmake --build $build --target help | grep '^nccl_ranks:' >/dev/null; then
  # LibTorch's header of NCCL includes most of the CUDA toolkit, which may not be there.
  cmake --build $build --target nccl_ranks || echo "distributed: nccl_ranks was not built" >&2
fi

python=$(sed -n 's/^fused_ssim_PYTHON:INTERNAL=//p' $build/CMakeCache.txt)
[ -n "$python" ] || { echo "distributed: no python3 has the torch that was found" >&2; exit 1; }
run() { "$python" tests/distributed/run.py $build/libfused_ssim_distributed_tests.so "$@"; }
backends=(--backend nccl --backend cpu:gloo,cuda:nccl)
[ "$gpus" != 0 ] || backends=(--backend gloo)
if [ $tests = 1 ]; then
  run --ranks 4 --cases "$cases"
  [ "$gpus" = 0 ] || run --ranks "$ranks" "${backends[@]}" --cases "$cases"
  if [ -x $build/nccl_ranks ]; then
    for ((rank = 0; rank < ranks; ++rank)); do
      RANK=$rank WORLD_SIZE=$ranks MASTER_PORT=29511 $build/nccl_ranks &
    done
    wait
  fi
fi
[ $benchmark = 0 ] || run --ranks "$ranks" "${backends[@]}" --benchmark "$size"
