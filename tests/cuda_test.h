#pragma once

// What the tests share that need a GPU.

#include "support.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

namespace fused_ssim::test {

constexpr std::int64_t kMiB = 1 << 20;

class CudaTest : public SeededTest {
 protected:
  void SetUp() override {
    SeededTest::SetUp();
    if (!why_no_cuda().empty()) {
      GTEST_SKIP() << why_no_cuda();
    }
  }

  static torch::Tensor image(const Sizes& sizes = {3, 200, 300}) {
    return noise(sizes).to(torch::kCUDA, torch::kFloat32);
  }

  /// Runs `step` once, then captures it.
  template <typename Step>
  static void capture(at::cuda::CUDAGraph& graph, const Step& step) {
    const c10::cuda::CUDAStreamGuard guard(at::cuda::getStreamFromPool());
    torch::cuda::synchronize();
    step();
    torch::cuda::synchronize();
    graph.capture_begin();
    step();
    graph.capture_end();
  }

  /// By how many bytes the allocated memory grows while a second call works.
  template <typename Operation>
  static std::int64_t peak_growth(const Operation& operation) {
    const auto bytes = [](bool peak) {
      const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(0);
      const auto& all = stats.allocated_bytes[0];
      return peak ? all.peak : all.current;
    };
    operation();
    torch::cuda::synchronize();
    c10::cuda::CUDACachingAllocator::resetPeakStats(0);
    const auto before = bytes(/*peak=*/false);
    operation();
    return bytes(/*peak=*/true) - before;
  }
};

} // namespace fused_ssim::test
