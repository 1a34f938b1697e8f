#!/usr/bin/env bash
# Optimises an image of noise toward a photograph with the L1 + D-SSIM loss, compares
# the two, and says where the pictures are. Sets up and builds what it needs.
#
#   scripts/demo.sh [PHOTO]     PNG or JPEG; default: a portrait of 512 x 512 pixels
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ $# -gt 1 ] || [[ ${1:-} == -* ]]; then
  echo "usage: scripts/demo.sh [PHOTO]" >&2
  exit 2
fi
[ $# = 0 ] || [ -r "$1" ] || { echo "demo: cannot read $1" >&2; exit 2; }

options=() cuda=AUTO
[ $# = 1 ] || options+=(--photo)
if ! nvidia-smi -L >/dev/null 2>&1; then
  echo "demo: no NVIDIA GPU is visible; the library is built for the CPU alone"
  options+=(--no-cuda) cuda=OFF
fi
"$root/scripts/setup.sh" "${options[@]}"
source "$root/build/environment.sh"
photo=$(realpath "${1:-$FUSED_SSIM_PHOTO}")

cd "$root"
build=build/demo
cmake --preset release -B $build -DFUSED_SSIM_CUDA=$cuda \
  -DFUSED_SSIM_BUILD_EXAMPLES=ON -DFUSED_SSIM_BUILD_TESTS=OFF >$build.log \
  || { cat $build.log; exit 1; }
cmake --build $build --target optimize_image compare_images

out=out/demo
$build/examples/optimize_image --target "$photo" --steps 300 --lr 0.02 --output-dir $out
echo
$build/examples/compare_images "$photo" $out/result.png
echo
echo "demo: the result is       $root/$out/result.png"
echo "demo: how it came about:  $root/$out/progress.png"
echo "demo: values along the way: $root/$out/metrics.json"
