// fused_ssim_benchmark [--scale=full|quick|smoke] [Google Benchmark's options]
//
// The repetitions of all rows run in random order. A load on the machine then
// affects all rows alike, and figures of one run can be compared. The exit
// status is 1 if a timed call computed a wrong result, and 77 if the filter
// leaves no row.

#include "memory.h"
#include "peak.h"
#include "rows.h"

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  namespace bench = fused_ssim::bench;
  bench::keep_freed_memory();
  // The composition computes in float32 rather than TF32, as the library does.
  at::globalContext().setAllowTF32CuDNN(false);

  const std::string flag = "--scale=";
  std::string scale_name = "full";
  std::string interleave = "--benchmark_enable_random_interleaving=true";
  std::vector<char*> arguments = {argv[0], interleave.data()};
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.compare(0, flag.size(), flag) == 0) {
      scale_name = argument.substr(flag.size());
    } else {
      arguments.push_back(argv[i]);
    }
  }
  const auto scale = bench::scale_named(scale_name);
  if (!scale.has_value()) {
    std::cerr << "fused_ssim_benchmark: --scale: expected full, quick or "
                 "smoke, but got "
              << scale_name << "\n";
    return 2;
  }
  auto count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) {
    return 2;
  }

  benchmark::AddCustomContext("instruction_set", bench::instruction_set());
  benchmark::AddCustomContext("fused_ssim", fused_ssim::version());
  benchmark::AddCustomContext("torch", TORCH_VERSION);
  bench::add_cpu_rows(*scale);
#if defined(FUSED_SSIM_WITH_CUDA)
  if (torch::cuda::is_available()) {
    bench::add_cuda_rows(*scale);
  }
#endif
  if (benchmark::RunSpecifiedBenchmarks() == 0) {
    return 77;
  }
  return bench::verify_rows() ? 0 : 1;
}
