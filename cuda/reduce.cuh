#pragma once

// Sums over a thread's values and over a block, always in the same order.

#include "device.cuh"
#include "params.h"

#include <cmath>

namespace fused_ssim::detail::cuda {

/// Kahan's sum: a thread adds thousands of values, and plain float32 would lose
/// three digits on the way.
template <typename T>
class CompensatedSum {
 public:
  __device__ __forceinline__ void add(T value) {
    const T corrected = value - lost_;
    const T sum = sum_ + corrected;
    const T lost = (sum - sum_) - corrected;
    lost_ = lost == lost ? lost : T(0); // of an infinite sum
    sum_ = sum;
  }

  __device__ __forceinline__ double value() const {
    return static_cast<double>(sum_) - static_cast<double>(lost_);
  }

 private:
  T sum_ = T(0), lost_ = T(0);
};

/// Calls f(value) for each number of the sums.
template <typename F>
__device__ __forceinline__ void for_each_sum(TermSums& sums, const F& f) {
  f(sums.dssim);
  f(sums.l1);
}

template <typename F>
__device__ __forceinline__ void for_each_sum(WeightSums& sums, const F& f) {
  f(sums.ssim);
  f(sums.l1);
}

__device__ __forceinline__ void add(TermSums& sums, const TermSums& more) {
  sums.dssim += more.dssim;
  sums.l1 += more.l1;
}

__device__ __forceinline__ void add(WeightSums& sums, const WeightSums& more) {
  sums.ssim += more.ssim;
  sums.l1 += more.l1;
}

/// Sum over all threads of the block, for all of them. `scratch` is not used for
/// anything else before the next block barrier; kBarrier and the number after it are
/// the barriers' numbers.
template <int kBarrier, typename Sums>
__device__ __forceinline__ Sums block_sum(Sums sums, Sums* scratch) {
  for (int step = kWarpSize / 2; step > 0; step /= 2) {
    for_each_sum(sums, [step](double& sum) {
      sum += __shfl_xor_sync(kFullWarp, sum, step);
    });
  }
  block_barrier<kBarrier>();
  if (threadIdx.x % kWarpSize == 0) {
    scratch[threadIdx.x / kWarpSize] = sums;
  }
  block_barrier<kBarrier + 1>();
  Sums total{};
  for (unsigned warp = 0; warp < blockDim.x / kWarpSize; ++warp) {
    add(total, scratch[warp]);
  }
  return total;
}

/// As block_sum, for a `scratch` that was last read before a block barrier.
template <int kBarrier>
__device__ __forceinline__ PivotSample
block_sample(PivotSample sample, PivotSample* scratch) {
  const auto from = [](float value, int step) {
    return __shfl_xor_sync(kFullWarp, value, step);
  };
  for (int step = kWarpSize / 2; step > 0; step /= 2) {
    sample.include(
        {from(sample.low_sum, step),
         from(sample.high_sum, step),
         from(sample.nearest_sum, step),
         from(sample.low_difference, step),
         from(sample.high_difference, step)});
  }
  if (threadIdx.x % kWarpSize == 0) {
    scratch[threadIdx.x / kWarpSize] = sample;
  }
  block_barrier<kBarrier>();
  PivotSample total = scratch[0];
  for (unsigned warp = 1; warp < blockDim.x / kWarpSize; ++warp) {
    total.include(scratch[warp]);
  }
  return total;
}

/// Whether the faster kernel's results hold; the same for all threads. Each warp looks
/// for itself.
__device__ __forceinline__ bool is_good(const FirstTry& first_try) {
  if (first_try.blocks == 0) {
    return false;
  }
  double sum = 0;
  for (int i = threadIdx.x % kWarpSize; i < first_try.blocks; i += kWarpSize) {
    sum += first_try.partials[i].dssim;
  }
  for (int step = kWarpSize / 2; step > 0; step /= 2) {
    sum += __shfl_xor_sync(kFullWarp, sum, step);
  }
  return sum == sum;
}

/// The weight sums of both regions, for all threads.
template <int kBarrier>
__device__ __forceinline__ WeightSums
weight_sums(const Normaliser& normaliser, WeightSums* scratch) {
  if (normaliser.given != nullptr) {
    return *normaliser.given;
  }
  if (normaliser.partials == nullptr) {
    return normaliser.counts;
  }
  wait_for_last_launch();
  WeightSums sums;
  for (int i = threadIdx.x; i < normaliser.blocks; i += blockDim.x) {
    add(sums, normaliser.partials[i]);
  }
  sums = block_sum<kBarrier>(sums, scratch);
  return {sums.ssim * normaliser.repeat, sums.l1 * normaliser.repeat};
}

} // namespace fused_ssim::detail::cuda
