# The CUDA compiler; sourced. find_cuda_compiler sets cuda_compiler, empty where there is
# none.

cuda_of_package=13
cuda_package="cuda-toolkit[nvcc,nvvm,crt,cccl,cudart,nvrtc,nvtx,cublas]==13.0.2"

# The major version of CUDA that LibTorch was built with, that of the runtime which it
# asks the loader for; nothing without CUDA.
cuda_of_torch() {
  local library=$torch_prefix/lib/libc10_cuda.so
  [ ! -e "$library" ] || LC_ALL=C sed -n 's/.*libcudart[-a-z0-9]*\.so\.\([0-9]*\).*/\1/p;T;q' "$library"
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

# find_cuda_compiler MAY_INSTALL: 1 or 0
find_cuda_compiler() {
  local wanted candidate
  cuda_compiler=
  wanted=$(cuda_of_torch)
  [ -n "$wanted" ] || { say "LibTorch has no CUDA: the library is built for the CPU only"; return; }
  for candidate in "${CUDACXX:-}" "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc "$(pypi_compiler)"; do
    [ -n "$candidate" ] && candidate=$(command -v "$candidate") || continue
    if [ "$(cuda_of_compiler "$candidate")" = "$wanted" ]; then
      cuda_compiler=$candidate
      return
    fi
    say "$candidate is CUDA $(cuda_of_compiler "$candidate"), but LibTorch was built with CUDA $wanted"
  done
  if [ "$1" = 0 ]; then
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
