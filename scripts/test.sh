#!/usr/bin/env bash
# Sets up, builds everything and runs every test; ends with ctest's summary. Without a
# GPU the CUDA kernels are compiled, for one architecture, and their tests skip; their
# emulation on the host runs.
#
#   scripts/test.sh [CTEST OPTION...]     e.g. scripts/test.sh -L embedding
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$root/scripts/setup.sh" --photo
source "$root/build/environment.sh"
export CUDAARCHS=${CUDAARCHS:-90}

cd "$root"
cmake --preset release -DFUSED_SSIM_BUILD_TESTS=ON -DFUSED_SSIM_BUILD_EXAMPLES=ON
cmake --build --preset release
ctest --preset release --parallel "$(nproc)" "$@"
