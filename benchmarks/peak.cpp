#include "peak.h"

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>

#include <atomic>
#include <cstdlib>
#include <string_view>

namespace fused_ssim::bench {

float peak_default(long steps);
float peak_avx2(long steps);
float peak_avx512(long steps);

namespace {

struct Peak {
  const char* name; // as in FUSED_SSIM_CPU_CAPABILITY
  bool supported;
  int lanes;
  float (*run)(long steps);
};

const Peak& peak() {
  static const Peak chosen = [] {
    const char* wanted = std::getenv("FUSED_SSIM_CPU_CAPABILITY");
    const Peak all[] = {
#if defined(FUSED_SSIM_CPU_X86)
      {"avx512", __builtin_cpu_supports("avx512f") != 0, 16, peak_avx512},
      {"avx2", __builtin_cpu_supports("avx2") != 0, 8, peak_avx2},
#endif
      {"default", true, 4, peak_default},
    };
    for (const Peak& each : all) {
      const bool any = wanted == nullptr || *wanted == '\0';
      if (each.supported && (any || std::string_view(wanted) == each.name)) {
        return each;
      }
    }
    TORCH_CHECK(
        false,
        "FUSED_SSIM_CPU_CAPABILITY: expected an instruction set of this "
        "processor, but got ",
        wanted);
  }();
  return chosen;
}

} // namespace

const char* instruction_set() {
  return peak().name;
}

std::int64_t run_multiply_adds() {
  constexpr long kSteps = 1 << 19;
  constexpr std::int64_t kChains = 12; // of peak_kernel.cpp
  const std::int64_t threads = at::get_num_threads();
  std::atomic<float> sink{0};
  at::parallel_for(0, threads, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      sink = peak().run(kSteps);
    }
  });
  return threads * kSteps * kChains * peak().lanes;
}

} // namespace fused_ssim::bench
