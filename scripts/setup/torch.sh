# LibTorch; sourced. find_torch sets torch_dir, the folder of TorchConfig.cmake, and
# torch_prefix, that of lib/ and include/.

torch_version=2.11.0
oldest_torch=2.7 # PyPI's older ones have another C++ ABI than the distribution's libraries

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
