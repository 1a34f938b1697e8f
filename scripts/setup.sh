#!/usr/bin/env bash
# Makes a Debian 12 or Ubuntu 22.04+ machine ready to build fused_ssim, and says what
# it installs. Whatever is there already is used; the second time takes a second.
#
#   scripts/setup.sh [--no-cuda] [--clang] [--photo] [--benchmark]
#     --no-cuda   installs no CUDA compiler
#     --clang     clang 14 and its OpenMP runtime as well
#     --photo     the photograph of the demo as well
#     --benchmark matplotlib, for the plots of scripts/benchmark.sh, as well
#
# Tools and libraries come from the distribution. LibTorch is, in this order, the one
# that Torch_DIR or CMAKE_PREFIX_PATH names, the torch of python3 on PATH, or torch
# from PyPI in a virtual environment under ~/.cache/fused_ssim, which every clone
# shares. The CUDA compiler is CUDACXX, nvcc on PATH or in the toolkit's usual folder,
# or the one of PyPI, in that environment.
#
# What it found goes to build/environment.sh, variables that CMake reads by itself:
#   source build/environment.sh && cmake --preset release
# CUDAARCHS is among them where there is a GPU: the kernels are then built for it alone.
#
# Each part is a file of scripts/setup.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in common packages torch cuda photo plots; do
  source "$root/scripts/setup/$part.sh"
done

packages=(g++:g++ cmake:cmake ninja-build:ninja git:git python3-venv
  libgtest-dev libgmock-dev nlohmann-json3-dev libcli11-dev libpng-dev libjpeg-dev
  libboost-context-dev libbenchmark-dev)
want_cuda=1 want_photo=0 want_benchmark=0
for argument in "$@"; do
  case $argument in
    --no-cuda) want_cuda=0 ;;
    --clang) packages+=(clang-14:clang++-14 libomp-14-dev) ;;
    --photo) want_photo=1 ;;
    --benchmark) want_benchmark=1 ;;
    *) echo "usage: scripts/setup.sh [--no-cuda] [--clang] [--photo] [--benchmark]" >&2; exit 2 ;;
  esac
done

photo= plot_python=
begin_setup
install_packages "${packages[@]}"
find_torch
find_cuda_compiler $want_cuda
[ $want_photo = 0 ] || find_photo
[ $want_benchmark = 0 ] || find_matplotlib
architectures=$(gpu_architectures)
{
  echo "# Written by scripts/setup.sh; sourced by the other scripts. CMake reads these variables."
  printf 'export CMAKE_PREFIX_PATH=%q${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}\n' "$(dirname "$torch_dir")"
  [ -z "$cuda_compiler" ] || printf 'export CUDACXX=%q\n' "$cuda_compiler"
  [ -z "$architectures" ] || printf 'export CUDAARCHS=%q\n' "$architectures"
  [ -z "$photo" ] || printf 'export FUSED_SSIM_PHOTO=%q\n' "$photo"
  [ -z "$plot_python" ] || printf 'export FUSED_SSIM_PLOT_PYTHON=%q\n' "$plot_python"
} >"$root/build/environment.sh"
say "LibTorch: $torch_prefix"
[ -z "$cuda_compiler" ] || say "CUDA compiler: $cuda_compiler"
[ -z "$architectures" ] || say "GPU: sm_${architectures//;/, sm_}"
say "ready; see build/environment.sh"
