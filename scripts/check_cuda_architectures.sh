#!/usr/bin/env bash
# Compiles the library for every GPU that a release is built for: the default of
# cmake/FusedSSIMCuda.cmake, sm_75 and later, as far as the compiler knows them.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$root/scripts/setup.sh"
source "$root/build/environment.sh"
unset CUDAARCHS

cd "$root"
build=build/architectures
cmake --preset release -B $build -DFUSED_SSIM_CUDA=ON \
  -DFUSED_SSIM_BUILD_TESTS=OFF -DFUSED_SSIM_BUILD_EXAMPLES=OFF
cmake --build $build --target fused_ssim
