#pragma once

// The four stages of the banded kernel, and what passes between their blocks.

#include "banded_strip.cuh"

namespace fused_ssim::detail::cuda {

template <Mode kMode, typename Images>
class BandedStages : protected BandedStrip<kMode, Images> {
  using Base = BandedStrip<kMode, Images>;

 protected:
  using Base::backward_history;
  using Base::band;
  using Base::forward_history;
  using Base::kDifferenceScale;
  using Base::kHasGradient;
  using Base::kPartials;
  using Base::kScale;
  using Base::lane;
  using Base::stash;

  __device__ __forceinline__ explicit BandedStages(const BandedParams& params)
      : Base(params) {}

  /// At the beginning of a row.
  __device__ __forceinline__ void clear_left() {
#pragma unroll
    for (int m = 0; m < 4; ++m) {
      left[m] = Operand{};
    }
#pragma unroll
    for (int m = 0; m < kPartials; ++m) {
      partial_left[m] = Operand{};
    }
  }

  /// The first two stages of the maps s and d (kFirst = 0) or of their squares (2).
  template <int kFirst>
  __device__ __forceinline__ void blur_maps(
      const LaneValues<>& s,
      const LaneValues<>& d,
      int n,
      int b,
      Product (&blurred)[4]) {
    char* const history =
        shared_memory() + forward_history + (4 * b + kFirst) * kOperandBytes;
    Operand before[2], fresh[2];
    Product sums[2];
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      load(history + m * kOperandBytes, lane, before[m]);
    }
    if (n > 0) {
      band.template multiply<0, 2>(sums, {&before[0], &before[1]});
    }
    if constexpr (kHasGradient && kFirst == 0) {
      store(stash_of(b), lane, before[0]);
      store(stash_of(b) + kOperandBytes, lane, before[1]);
    }
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      LaneValues<> values;
#pragma unroll
      for (int j = 0; j < kLaneRows; ++j) {
#pragma unroll
        for (int k = 0; k < kLanePairs; ++k) {
          const float root =
              m == 0 ? s[j][k] : d[j][k] * (kScale / kDifferenceScale);
          values[j][k] = kFirst == 2 ? root * root : m == 0 ? s[j][k] : d[j][k];
        }
      }
      make_operand(fresh[m], values);
      store(history + m * kOperandBytes, lane, fresh[m]);
    }
    if (n > 0) {
      band.template multiply<1, 2>(sums, {&fresh[0], &fresh[1]});
      blur_along_columns<2>(&left[kFirst], sums, &blurred[kFirst]);
    }
  }

  /// From a stage along rows through the one along columns; `to_left` becomes this
  /// block's.
  template <int kCount>
  __device__ __forceinline__ void blur_along_columns(
      Operand* to_left, // [kCount]
      const Product (&sums)[kCount],
      Product* results) const // [kCount]
  {
    Product along[kCount];
    const Operand* operands[kCount];
#pragma unroll
    for (int m = 0; m < kCount; ++m) {
      operands[m] = to_left + m;
    }
    band.template multiply<0, kCount>(along, operands);
#pragma unroll
    for (int m = 0; m < kCount; ++m) {
      make_operand(to_left[m], sums[m]);
    }
    band.template multiply<1, kCount>(along, operands);
#pragma unroll
    for (int m = 0; m < kCount; ++m) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          results[m][i][k] = along[m][i][k];
        }
      }
    }
  }

  /// s and d of the row above at block b, kept for the next step.
  __device__ __forceinline__ char* stash_of(int b) const {
    return shared_memory() + stash + (b & 1) * 2 * kOperandBytes;
  }

  /// The last two stages of partial derivatives kFirst, ...
  template <int kFirst, int kCount>
  __device__ __forceinline__ void blur_partials(
      const LaneValues<> (&partials)[kPartials],
      int n,
      int b,
      Product (&results)[kPartials]) {
    char* const history = shared_memory() + backward_history +
        (kPartials * b + kFirst) * kOperandBytes;
    Operand before[kCount], fresh[kCount];
    const Operand *old[kCount], *now[kCount];
    Product sums[kCount];
#pragma unroll
    for (int m = 0; m < kCount; ++m) {
      old[m] = &before[m];
      now[m] = &fresh[m];
      load(history + m * kOperandBytes, lane, before[m]);
    }
    if (n > 1) {
      band.template multiply<0, kCount>(sums, old);
    }
#pragma unroll
    for (int m = 0; m < kCount; ++m) {
      make_operand(fresh[m], partials[kFirst + m]);
      store(history + m * kOperandBytes, lane, fresh[m]);
    }
    if (n > 1) {
      band.template multiply<1, kCount>(sums, now);
      blur_along_columns<kCount>(&partial_left[kFirst], sums, &results[kFirst]);
    }
  }

 private:
  Operand left[4], partial_left[kPartials]; // the block to the left
};

} // namespace fused_ssim::detail::cuda
