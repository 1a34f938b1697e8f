#!/usr/bin/env bash
# Builds the library without CUDA against LibTorch of PyPI, version after version, and
# runs the CPU tests of each. Ends with a table, and with an error if one failed.
#
#   scripts/check_libtorch_versions.sh [VERSION...]
#
# Each version takes a virtual environment of several GB, removed after use, and on
# two cores a quarter of an hour. PyPI's wheels before 2.7 use the old C++ ABI,
# which the distribution's GoogleTest does not: it is built from its source with theirs.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[ $# != 0 ] || set -- 2.1.2 2.4.1 2.6.0 2.8.0 2.11.0 2.13.0 2.15.0
"$root/scripts/setup.sh" --no-cuda
source "$root/build/environment.sh"

cd "$root"
googletest=/usr/src/googletest # of libgtest-dev
rows=() failed=0

# check VERSION: says in $result how far it came.
check() {
  local version=$1 build=build/libtorch-$1 environment
  environment=$PWD/$build/environment
  rm -rf "$build" && mkdir -p "$build"
  result="not on PyPI for this Python"
  python3 -m venv "$environment"
  "$environment/bin/pip" install -q "torch==$version" "numpy<2" >"$build/pip.log" 2>&1 || return 1
  local torch abi=1
  torch=$(echo "$environment"/lib/python3*/site-packages/torch)
  if grep -q _GLIBCXX_USE_CXX11_ABI=0 "$torch/share/cmake/Torch/TorchConfig.cmake"; then
    abi=0
  fi
  result="GoogleTest does not build"
  { cmake -S $googletest -B "$build/googletest" -G Ninja -DCMAKE_BUILD_TYPE=Release \
      "-DCMAKE_CXX_FLAGS=-D_GLIBCXX_USE_CXX11_ABI=$abi" "-DCMAKE_INSTALL_PREFIX=$environment/googletest" &&
    cmake --build "$build/googletest" --target install; } >"$build/googletest.log" 2>&1 || return 1
  result="C++ ABI $abi: does not build"
  { cmake -S . -B "$build/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DFUSED_SSIM_CUDA=OFF \
      -DFUSED_SSIM_BUILD_EXAMPLES=OFF -DFUSED_SSIM_INSTALL=OFF \
      "-DTorch_DIR=$torch/share/cmake/Torch" "-DCMAKE_PREFIX_PATH=$environment/googletest" &&
    cmake --build "$build/build" --target fused_ssim_tests fused_ssim_differential; } \
    >"$build/build.log" 2>&1 || return 1
  result="C++ ABI $abi: builds, tests fail"
  ctest --test-dir "$build/build" -L '^cpu$' --parallel "$(nproc)" --no-tests=error \
    --output-on-failure >"$build/ctest.log" 2>&1 || return 1
  result="C++ ABI $abi: $(sed -n 's/^\([0-9]*% tests passed.*\)$/\1/p' "$build/ctest.log")"
}

for version in "$@"; do
  echo "libtorch: $version"
  if check "$version"; then
    rm -rf "build/libtorch-$version"
  else
    failed=1
    rm -rf "build/libtorch-$version/environment"
    echo "libtorch: $version: $result; see build/libtorch-$version/*.log" >&2
  fi
  rows+=("| $version | $result |")
done
printf '\n| LibTorch | |\n|---|---|\n'
printf '%s\n' "${rows[@]}"
exit $failed
