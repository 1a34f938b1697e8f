#pragma once

// Shared code of the emulation's tests.

#include "emulated_runtime.h"
#include "emulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace fused_ssim::detail::cuda {

constexpr unsigned kThreads = 96; // three warps
constexpr int kSeeds = 16;

/// Restores the settings.
class Emulation : public ::testing::Test {
 protected:
  void TearDown() override {
    emulation::set(emulation::Settings());
  }
};

inline void set_seed(int seed) {
  emulation::Settings settings;
  settings.seed = static_cast<std::uint64_t>(seed);
  emulation::set(settings);
}

/// The number of orders, out of kSeeds, in which `run` does not return
/// `expected`.
template <typename Run, typename Result>
int count_deviations(const Run& run, const Result& expected) {
  int deviations = 0;
  for (int seed = 0; seed < kSeeds; ++seed) {
    set_seed(seed);
    deviations += run() != expected ? 1 : 0;
  }
  return deviations;
}

template <typename T>
T* shared() {
  return reinterpret_cast<T*>(shared_memory());
}

struct SumParams {
  const double* values; // [gridDim, blockDim]
  double* sums; // [gridDim]
  bool with_barrier;
};

/// A reduction in each warp by shuffles, then over the warps through shared
/// memory.
template <typename T>
__global__ void sum_block(SumParams params) {
  auto sum =
      static_cast<T>(params.values[blockIdx.x * blockDim.x + threadIdx.x]);
  for (int step = 16; step > 0; step /= 2) {
    sum += __shfl_xor_sync(0xffffffff, sum, step);
  }
  auto* warp_sums = shared<T>(); // [warps]
  if (threadIdx.x % 32 == 0) {
    warp_sums[threadIdx.x / 32] = sum;
  }
  if (params.with_barrier) {
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    for (unsigned warp = 1; warp < blockDim.x / 32; ++warp) {
      sum += warp_sums[warp];
    }
    params.sums[blockIdx.x] = static_cast<double>(sum);
  }
}

template <typename T>
std::vector<double> block_sums(unsigned blocks, bool with_barrier = true) {
  std::vector<double> values(blocks * kThreads);
  for (unsigned i = 0; i < values.size(); ++i) {
    values[i] = i % 251;
  }
  std::vector<double> sums(blocks, -1);
  launch(
      sum_block<T>,
      blocks,
      kThreads,
      sizeof(T) * kThreads / 32,
      SumParams{values.data(), sums.data(), with_barrier});
  return sums;
}

inline std::vector<double> expected_block_sums(unsigned blocks) {
  std::vector<double> sums(blocks);
  for (unsigned i = 0; i < blocks * kThreads; ++i) {
    sums[i / kThreads] += i % 251;
  }
  return sums;
}

} // namespace fused_ssim::detail::cuda
