#!/usr/bin/env bash
# Builds the library and its CPU tests for 64-bit Arm and runs them, on an x86-64
# machine with Debian 12: cross-compiled, and emulated by qemu-user. That tells whether
# the code is right there, not how fast it is.
#
#   scripts/check_aarch64.sh [--build | --filter GTEST_FILTER]
#     --build   runs nothing
#     --filter  runs these of the unit tests; otherwise all of them, 500 cases of the
#               differential test and the accuracy table of images of 60x90
#
# It says what it installs: from the distribution the cross compiler, qemu-user and
# what the tests need, from PyPI LibTorch for Arm (440 MB), to ~/.cache/fused_ssim.
# GoogleTest is built from the distribution's source. build/aarch64 has all output.
#
# PyPI's LibTorch for Arm is one with CUDA. What the CPU needs of it is unpacked, with
# the CUDA runtime and CUPTI, which libtorch_cpu.so loads. libtorch.so holds no code,
# but loads libtorch_cuda.so and with it gigabytes of NVIDIA's libraries: in its place
# comes one that loads libtorch_cpu.so alone.
set -euo pipefail

cuda_package="cuda-toolkit[cudart,cupti]==13.0.2" # that torch 2.11 asks for
triplet=aarch64-linux-gnu
packages=(g++-aarch64-linux-gnu:$triplet-g++ qemu-user:qemu-aarch64 cmake:cmake ninja-build:ninja
  python3-venv googletest nlohmann-json3-dev libcli11-dev)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in common packages torch; do
  source "$root/scripts/setup/$part.sh"
done
speaker=aarch64
build=$root/build/aarch64
log=$build/setup.log
site=$cache/aarch64/torch-$torch_version # laid out as pip does: torch/ and nvidia/
programs=(fused_ssim_tests fused_ssim_differential fused_ssim_accuracy_table)

usage() { echo "usage: scripts/check_aarch64.sh [--build | --filter GTEST_FILTER]" >&2; exit 2; }

# step_into NAME WHAT COMMAND...: a step with its output in NAME.log.
step_into() {
  local log=$build/$1.log
  step "$2" "" "${@:3}"
}

install_torch() {
  [ ! -d "$site" ] || return 0
  local folder=$cache/aarch64/download
  rm -rf "$folder"
  mkdir -p "$folder/site"
  make_venv
  local pip=("$venv/bin/pip" download --no-cache-dir --disable-pip-version-check
    --only-binary :all: --python-version 3.11 -d "$folder")
  step_into torch "downloading torch $torch_version for Arm from PyPI (420 MB)" \
    "${pip[@]}" --no-deps --platform manylinux_2_28_aarch64 "torch==$torch_version"
  step_into cuda "downloading the CUDA runtime and CUPTI for Arm from PyPI (13 MB)" \
    "${pip[@]}" --platform manylinux_2_25_aarch64 --platform manylinux_2_17_aarch64 "$cuda_package"
  step_into unpack "unpacking them to $site" python3 - "$folder" <<'PYTHON'
import pathlib, re, sys, zipfile
folder = pathlib.Path(sys.argv[1])
wanted = re.compile(
    r"torch/(include|share/cmake)/|torch/lib/lib(torch_cpu|c10|gomp|gfortran|arm_compute\w*|nvpl_\w+)\.so"
    r"|nvidia/.*/lib(cudart|cupti)\.so")
for wheel in folder.glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site", filter(wanted.match, archive.namelist()))
PYTHON
  step_into libtorch "making a libtorch.so without CUDA" \
    $triplet-g++ -shared -x c++ /dev/null -x none -o "$folder/site/torch/lib/libtorch.so" -Wl,-soname,libtorch.so \
    "-Wl,-rpath,\$ORIGIN" -Wl,--no-as-needed "-L$folder/site/torch/lib" -ltorch_cpu
  mv "$folder/site" "$site"
  rm -r "$folder"
}

build_tests() {
  local common=(-G Ninja -DCMAKE_BUILD_TYPE=Release "-DCMAKE_TOOLCHAIN_FILE=$root/cmake/$triplet.cmake")
  step_into googletest "configuring GoogleTest" \
    cmake -S /usr/src/googletest -B "$build/googletest" "${common[@]}" "-DCMAKE_INSTALL_PREFIX=$build/installed"
  step_into googletest "building GoogleTest" cmake --build "$build/googletest" --target install
  # The linker follows what LibTorch's libraries load.
  step_into configure "configuring fused_ssim" \
    cmake -S "$root" -B "$build/build" "${common[@]}" -DFUSED_SSIM_CUDA=OFF \
    -DFUSED_SSIM_BUILD_EXAMPLES=OFF -DFUSED_SSIM_INSTALL=OFF \
    "-DTorch_DIR=$site/torch/share/cmake/Torch" "-DCMAKE_PREFIX_PATH=$build/installed" \
    "-DCMAKE_EXE_LINKER_FLAGS=-Wl,-rpath-link,$site/torch/lib:$site/nvidia/cu13/lib"
  step_into build "building fused_ssim and its tests (six minutes on two cores)" \
    cmake --build "$build/build" --target "${programs[@]}"
}

# The blurs have to consist of NEON's multiply-adds.
count_instructions() {
  local object vectors scalars
  for object in "$build"/build/src/cpu/CMakeFiles/fused_ssim_cpu_default.dir/kernel_*.o; do
    $triplet-objdump -d --no-show-raw-insn "$object" >"$build/objdump.log"
    vectors=$(grep -Ec '\sfml[as]\s+v' "$build/objdump.log" || true)
    scalars=$(grep -Ec '\sfn?m(add|sub)\s' "$build/objdump.log" || true)
    say "$(basename "$object"): $vectors multiply-adds of vectors, $scalars of scalars"
    [ "$vectors" -gt $((100 * scalars)) ] || fail "the compiler did not vectorise the kernels"
  done
}

# emulate NAME PROGRAM ARGUMENT...
emulate() {
  local name=$1 log=$build/$1.log start=$SECONDS
  shift
  say "running $*"
  OMP_WAIT_POLICY=passive qemu-aarch64 -L /usr/$triplet "$build/build/tests/$1" "${@:2}" >"$log" 2>&1 \
    || { grep -E 'FAILED|Failure|rror' "$log" | tail -n 20 >&2; fail "failed: $* (all output: $log)"; }
  grep -E 'tests? ran|PASSED|SKIPPED.*listed|cases on|^\|' "$log" || true
  say "$name: passed in $((SECONDS - start)) s"
}

# The unit tests, a part of them for each processor at once.
emulate_unit_tests() {
  local count shard pids=()
  count=$(nproc)
  for ((shard = 0; shard < count; ++shard)); do
    GTEST_TOTAL_SHARDS=$count GTEST_SHARD_INDEX=$shard OMP_NUM_THREADS=2 \
      emulate "unit_$shard" fused_ssim_tests "--gtest_filter=$filter" &
    pids+=($!)
  done
  for shard in "${pids[@]}"; do
    wait "$shard"
  done
}

filter='-*/cuda:CudaTest.*' what=all
case ${1-} in
  '') ;;
  --build) what=build ;;
  --filter)
    what=filter filter=${2-}
    [ -n "$filter" ] || usage
    ;;
  *) usage ;;
esac
begin_setup
mkdir -p "$build"
install_packages "${packages[@]}"
install_torch
end_setup
build_tests
count_instructions
[ $what != build ] || exit 0
if [ $what = all ]; then
  emulate differential fused_ssim_differential --cases 500
  emulate accuracy fused_ssim_accuracy_table cpu 60 90
fi
emulate_unit_tests
