// What run.py calls, by ctypes, in each process.

#include "ranks.h"

#include <torch/csrc/distributed/c10d/GroupRegistry.hpp>

#include <exception>
#include <iostream>

#if defined(_WIN32)
#define FUSED_SSIM_TEST_EXPORT extern "C" __declspec(dllexport)
#else
#define FUSED_SSIM_TEST_EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace {

using fused_ssim::test::Ranks;

Ranks ranks_of(const char* group, const char* device) {
  return Ranks(c10d::resolve_process_group(group), torch::Device(device));
}

template <typename F>
int guarded(const F& f) {
  try {
    return f();
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return 1;
  }
}

} // namespace

/// The number of failures on this rank, at most 100.
FUSED_SSIM_TEST_EXPORT int run_tests(
    const char* group,
    const char* device,
    long cases) {
  return guarded([&] {
    auto ranks = ranks_of(group, device);
    fused_ssim::test::test_calls(ranks);
    fused_ssim::test::test_error_maps(ranks);
    fused_ssim::test::test_refusals(ranks);
    fused_ssim::test::test_values(
        ranks, cases, 1000 * static_cast<std::uint64_t>(ranks.size()));
    if (ranks.rank() == 0) {
      std::cout << ranks.size() << " ranks on " << device << ", group "
                << ranks.group()->getBackendName() << ": " << ranks.cases()
                << " cases, " << ranks.failures() << " failures on rank 0"
                << std::endl;
    }
    return static_cast<int>(std::min<std::int64_t>(ranks.failures(), 100));
  });
}

FUSED_SSIM_TEST_EXPORT int run_benchmark(
    const char* group,
    const char* device,
    const char* label,
    long height,
    long width,
    long repetitions) {
  return guarded([&] {
    auto ranks = ranks_of(group, device);
    fused_ssim::test::benchmark(ranks, label, height, width, repetitions);
    return 0;
  });
}
