#pragma once

// The four stages of the banded kernel, and what passes between their blocks.

#include "banded_strip.cuh"

namespace fused_ssim::detail::cuda {

template <Mode kMode, int kSpan, typename Images>
class BandedStages : protected BandedStrip<kMode, kSpan, Images> {
  using Base = BandedStrip<kMode, kSpan, Images>;

 protected:
  using Base::backward_history;
  using Base::band;
  using Base::forward_history;
  using Base::kDifferenceScale;
  using Base::kHasGradient;
  using Base::kPartials;
  using Base::kScale;
  using Base::lane;
  using Base::left_place;
  using Base::stash;
  using typename Base::P;
  static constexpr int kBehind = P::kBehind;
  static constexpr int kMaps = 4 + P::kPartials;

  __device__ __forceinline__ explicit BandedStages(const BandedParams& params)
      : Base(params) {}

  /// The first row and column of blocks that have all they need for the map, and for
  /// the gradient.
  static constexpr int kFirstMap = kBehind;
  static constexpr int kFirstGradient = 2 * kBehind;

  /// At the beginning of the row `index`.
  __device__ __forceinline__ void begin_row(int index) {
    newest = index % kBehind;
    const Operand none = {};
    if constexpr (P::kLeftShared) {
#pragma unroll
      for (int i = 0; i < kBehind * kMaps; ++i) {
        store(shared_memory() + left_place + i * kOperandBytes, lane, none);
      }
    } else {
#pragma unroll
      for (int m = 0; m < kMaps; ++m) {
        left[m] = none;
      }
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
    char* const history = shared_memory() + forward_history +
        (4 * kBehind * b + kFirst) * kOperandBytes;
    const bool complete = n >= kFirstMap;
    Operand fresh[2];
    Product sums[2];
    multiply_rows<2>(history, 4, complete, sums, kFirst == 0 ? b : -1);
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
      store(row_block(history, 4, 0) + m * kOperandBytes, lane, fresh[m]);
    }
    if (complete) {
      band.template multiply<kBehind, 2>(sums, {&fresh[0], &fresh[1]});
      blur_along_columns<kFirst, 2>(b, sums, &blurred[kFirst]);
    }
  }

  /// The last two stages of partial derivatives kFirst, ...
  template <int kFirst, int kCount>
  __device__ __forceinline__ void blur_partials(
      const LaneValues<> (&partials)[kPartials],
      int n,
      int b,
      Product (&results)[kPartials]) {
    char* const history = shared_memory() + backward_history +
        (kPartials * kBehind * b + kFirst) * kOperandBytes;
    const bool complete = n >= kFirstGradient;
    Operand fresh[kCount];
    const Operand* operands[kCount];
    Product sums[kCount];
    multiply_rows<kCount>(history, kPartials, complete, sums, -1);
#pragma unroll
    for (int m = 0; m < kCount; ++m) {
      operands[m] = &fresh[m];
      make_operand(fresh[m], partials[kFirst + m]);
      store(
          row_block(history, kPartials, 0) + m * kOperandBytes, lane, fresh[m]);
    }
    if (complete) {
      band.template multiply<kBehind, kCount>(sums, operands);
      blur_along_columns<4 + kFirst, kCount>(b, sums, &results[kFirst]);
    }
  }

  /// s and d at block b of the row where the gradient is, kept for later steps.
  __device__ __forceinline__ char* stash_of(int b) const {
    return shared_memory() + stash + b % kSpan * 2 * kOperandBytes;
  }

 private:
  /// Where the oldest row's operands lie, or the one `younger`. The newest row takes
  /// the oldest one's place.
  __device__ __forceinline__ char* row_block(
      char* history,
      int maps,
      int younger) const {
    const int place = (newest + younger) % kBehind;
    return history + place * maps * kOperandBytes;
  }

  /// What the older rows give to a stage along rows. With b >= 0 the oldest row's s and
  /// d go to the stash.
  template <int kCount>
  __device__ __forceinline__ void multiply_rows(
      char* history,
      int maps,
      bool complete,
      Product (&sums)[kCount],
      int b) const {
    Operand before[kCount];
    const Operand* operands[kCount];
#pragma unroll
    for (int m = 0; m < kCount; ++m) {
      operands[m] = &before[m];
      load(row_block(history, maps, 0) + m * kOperandBytes, lane, before[m]);
    }
    if (complete) {
      band.template multiply<0, kCount>(sums, operands);
    }
    if constexpr (kHasGradient && kCount > 1) { // s and d are among the maps
      if (b >= 0) {
        store(stash_of(b), lane, before[0]);
        store(stash_of(b) + kOperandBytes, lane, before[1]);
      }
    }
    if constexpr (kBehind > 1) {
      if (complete) {
#pragma unroll
        for (int m = 0; m < kCount; ++m) {
          load(
              row_block(history, maps, 1) + m * kOperandBytes, lane, before[m]);
        }
        band.template multiply<1, kCount>(sums, operands);
      }
    }
  }

  /// From a stage along rows through the one along columns, of kCount maps from kMap on.
  template <int kMap, int kCount>
  __device__ __forceinline__ void blur_along_columns(
      int b,
      const Product (&sums)[kCount],
      Product* results) // [kCount]
  {
    Product along[kCount];
    const Operand* operands[kCount];
    if constexpr (P::kLeftShared) {
      Operand blocks[kCount];
      char* const places = shared_memory() + left_place + kMap * kOperandBytes;
      char* const oldest = places + b % kBehind * kMaps * kOperandBytes;
      char* const last = places + (b + 1) % kBehind * kMaps * kOperandBytes;
#pragma unroll
      for (int m = 0; m < kCount; ++m) {
        operands[m] = &blocks[m];
        load(oldest + m * kOperandBytes, lane, blocks[m]);
      }
      band.template multiply<0, kCount>(along, operands);
#pragma unroll
      for (int m = 0; m < kCount; ++m) {
        load(last + m * kOperandBytes, lane, blocks[m]);
      }
      band.template multiply<1, kCount>(along, operands);
#pragma unroll
      for (int m = 0; m < kCount; ++m) {
        make_operand(blocks[m], sums[m]);
        store(oldest + m * kOperandBytes, lane, blocks[m]);
      }
      band.template multiply<kBehind, kCount>(along, operands);
    } else {
#pragma unroll
      for (int m = 0; m < kCount; ++m) {
        operands[m] = &left[kMap + m];
      }
      band.template multiply<0, kCount>(along, operands);
#pragma unroll
      for (int m = 0; m < kCount; ++m) {
        make_operand(left[kMap + m], sums[m]);
      }
      band.template multiply<1, kCount>(along, operands);
    }
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

  int newest; // this row's place in the histories
  Operand left[P::kLeftShared ? 1 : kMaps]; // the block to the left
};

} // namespace fused_ssim::detail::cuda
