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

/// Sum over all threads of the block, for all of them. `scratch` is not used for
/// anything else before the next block barrier; kBarrier and the number after it are
/// the barriers' numbers.
template <int kBarrier>
__device__ __forceinline__ Sums block_sum(Sums sums, Sums* scratch) {
  for (int step = kWarpSize / 2; step > 0; step /= 2) {
    sums.dssim += __shfl_xor_sync(kFullWarp, sums.dssim, step);
    sums.l1 += __shfl_xor_sync(kFullWarp, sums.l1, step);
  }
  block_barrier<kBarrier>();
  if (threadIdx.x % kWarpSize == 0) {
    scratch[threadIdx.x / kWarpSize] = sums;
  }
  block_barrier<kBarrier + 1>();
  Sums total = {0, 0};
  for (unsigned warp = 0; warp < blockDim.x / kWarpSize; ++warp) {
    total.dssim += scratch[warp].dssim;
    total.l1 += scratch[warp].l1;
  }
  return total;
}

/// Between which values s and d lie; none yet where low > high.
struct Ranges {
  float low_s, high_s, low_d, high_d;

  __device__ __forceinline__ void include(const Ranges& other) {
    low_s = fminf(low_s, other.low_s);
    high_s = fmaxf(high_s, other.high_s);
    low_d = fminf(low_d, other.low_d);
    high_d = fmaxf(high_d, other.high_d);
  }
};

/// As block_sum.
template <int kBarrier>
__device__ __forceinline__ Ranges block_ranges(Ranges ranges, Ranges* scratch) {
  for (int step = kWarpSize / 2; step > 0; step /= 2) {
    ranges.include(
        {__shfl_xor_sync(kFullWarp, ranges.low_s, step),
         __shfl_xor_sync(kFullWarp, ranges.high_s, step),
         __shfl_xor_sync(kFullWarp, ranges.low_d, step),
         __shfl_xor_sync(kFullWarp, ranges.high_d, step)});
  }
  block_barrier<kBarrier>();
  if (threadIdx.x % kWarpSize == 0) {
    scratch[threadIdx.x / kWarpSize] = ranges;
  }
  block_barrier<kBarrier + 1>();
  Ranges total = scratch[0];
  for (unsigned warp = 1; warp < blockDim.x / kWarpSize; ++warp) {
    total.include(scratch[warp]);
  }
  return total;
}

/// The sums of the weights of both regions.
template <int kBarrier>
__device__ __forceinline__ Sums
weight_sums(const Normaliser& normaliser, Sums* scratch) {
  if (normaliser.partials == nullptr) {
    return normaliser.counts;
  }
  Sums sums = {0, 0};
  for (int i = threadIdx.x; i < normaliser.blocks; i += blockDim.x) {
    sums.dssim += normaliser.partials[i].dssim;
    sums.l1 += normaliser.partials[i].l1;
  }
  sums = block_sum<kBarrier>(sums, scratch);
  return {sums.dssim * normaliser.repeat, sums.l1 * normaliser.repeat};
}

/// sum / weights, and 0 where nothing weighs.
__device__ __forceinline__ double mean_of(double sum, double weights) {
  return weights != 0 ? sum / weights : 0;
}

} // namespace fused_ssim::detail::cuda
