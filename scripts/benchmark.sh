#!/usr/bin/env bash
# Times the library beside a copy, the arithmetic peak and a plain composition of
# tensor operations, on the CPU and, where there is one, on the GPU. Sets up and builds
# what it needs, and writes to out/benchmark: cpu.json, cpu-avx2.json (on a processor
# with AVX-512), cuda.json, the tables as report.md, the plots as *.png.
#
#   scripts/benchmark.sh [--quick]     --quick: fewer sizes and repetitions
#
# Nothing else should run meanwhile; the report says how loaded the machine was.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scale=full
case ${1:-} in
  "") ;;
  --quick) scale=quick ;;
  *) echo "usage: scripts/benchmark.sh [--quick]" >&2; exit 2 ;;
esac

options=(--benchmark) cuda=AUTO
if ! nvidia-smi -L >/dev/null 2>&1; then
  echo "benchmark: no NVIDIA GPU is visible; only the CPU is measured"
  options+=(--no-cuda) cuda=OFF
fi
"$root/scripts/setup.sh" "${options[@]}"
source "$root/build/environment.sh"

cd "$root"
build=build/benchmark out=out/benchmark
mkdir -p $out
cmake --preset release -B $build -DFUSED_SSIM_CUDA=$cuda -DFUSED_SSIM_BUILD_BENCHMARKS=ON \
  -DFUSED_SSIM_BUILD_TESTS=OFF -DFUSED_SSIM_BUILD_EXAMPLES=OFF >$build.log \
  || { cat $build.log; exit 1; }
cmake --build $build --target fused_ssim_benchmark

# Commas separate the entries of a context.
machine=$(sed -n '/^model name/{s/^[^:]*: //;s/[,=]//g;p;q}' /proc/cpuinfo 2>/dev/null || true)
context="machine=${machine:-unknown} with $(nproc) processors,commit=$(git describe --always --dirty 2>/dev/null || echo none)"
[ $cuda = OFF ] \
  || context+=",gpu_driver=$(nvidia-smi --id=0 --query-gpu=driver_version --format=csv,noheader)"
rm -f $out/*.json
written=()

# measure NAME FILTER: the rows that match, to NAME.json.
measure() {
  local start=$SECONDS
  $build/benchmarks/fused_ssim_benchmark --scale=$scale "--benchmark_filter=$2" \
    --benchmark_display_aggregates_only=true "--benchmark_context=$context" \
    --benchmark_out=$out/"$1".json --benchmark_out_format=json >$out/"$1".log 2>&1 \
    || { tail -n 20 $out/"$1".log >&2; echo "benchmark: $1 failed" >&2; exit 1; }
  echo "benchmark: $1 took $((SECONDS - start)) s; $(grep 'rows agree' $out/"$1".log)"
  written+=("$out/$1.json")
}
measure cpu ^cpu/
if grep -q '"instruction_set": "avx512"' $out/cpu.json; then
  # The composition does not depend on our instruction set.
  FUSED_SSIM_CPU_CAPABILITY=avx2 measure cpu-avx2 '^cpu/(multiply_add|copy|value|value_and_grad|autograd_step)/'
fi
[ $cuda = OFF ] || measure cuda ^cuda/

"$FUSED_SSIM_PLOT_PYTHON" benchmarks/report.py "${written[@]}" | tee $out/report.md
"$FUSED_SSIM_PLOT_PYTHON" benchmarks/plot.py $out "${written[@]}"
