#!/usr/bin/env bash
# Formats all C++ and CUDA files with clang-format 14, the distribution's; its style
# is .clang-format.
#
#   scripts/format.sh [--check]     --check: changes nothing, fails where it would
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case ${1:-} in
  "") mode=(-i) ;;
  --check) mode=(--dry-run -Werror) ;;
  *) echo "usage: scripts/format.sh [--check]" >&2; exit 2 ;;
esac
if ! command -v clang-format-14 >/dev/null; then
  source "$root/scripts/setup/common.sh"
  source "$root/scripts/setup/packages.sh"
  begin_setup
  install_packages clang-format-14:clang-format-14
fi

cd "$root"
mapfile -t files < <(git ls-files --cached --others --exclude-standard '*.h' '*.cpp' '*.cuh' '*.cu')
clang-format-14 "${mode[@]}" "${files[@]}"
echo "format: ${#files[@]} files"
