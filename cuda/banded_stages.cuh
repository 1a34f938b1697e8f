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
    Operand before[kBehind][2], fresh[2];
    Product sums[2];
    begin_rows(history, 4, complete, before, sums, kFirst == 0 ? b : -1);
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
      finish_products(before, fresh, sums);
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
    Operand before[kBehind][kCount], fresh[kCount];
    Product sums[kCount];
    begin_rows(history, kPartials, complete, before, sums, -1);
#pragma unroll
    for (int m = 0; m < kCount; ++m) {
      make_operand(fresh[m], partials[kFirst + m]);
      store(
          row_block(history, kPartials, 0) + m * kOperandBytes, lane, fresh[m]);
    }
    if (complete) {
      finish_products(before, fresh, sums);
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

  /// Begins a stage along rows with what the older rows give to it. With b >= 0 the
  /// oldest row's s and d go to the stash.
  template <int kCount>
  __device__ __forceinline__ void begin_rows(
      char* history,
      int maps,
      bool complete,
      Operand (&before)[kBehind][kCount],
      Product (&sums)[kCount],
      int b) const {
#pragma unroll
    for (int i = 0; i < kBehind; ++i) {
#pragma unroll
      for (int m = 0; m < kCount; ++m) {
        load(
            row_block(history, maps, i) + m * kOperandBytes,
            lane,
            before[i][m]);
      }
    }
    if constexpr (kHasGradient && kCount > 1) { // s and d are among the maps
      if (b >= 0) {
        store(stash_of(b), lane, before[0][0]);
        store(stash_of(b) + kOperandBytes, lane, before[0][1]);
      }
    }
    if (complete) {
      begin_products(before, sums);
    }
  }

  /// What can be added up before the newest block is there.
  template <int kCount>
  __device__ __forceinline__ void begin_products(
      const Operand (&before)[kBehind][kCount],
      Product (&sums)[kCount]) const {
    band.template add_small<0>(sums, before[0]);
    if constexpr (kBehind > 1) {
      band.template add_small<1>(sums, before[1]);
    }
  }

  template <int kCount>
  __device__ __forceinline__ void finish_products(
      const Operand (&before)[kBehind][kCount],
      const Operand (&fresh)[kCount],
      Product (&sums)[kCount]) const {
    band.template add_small<kBehind>(sums, fresh);
    band.template add_large<0>(sums, before[0]);
    if constexpr (kBehind > 1) {
      band.template add_large<1>(sums, before[1]);
    }
    band.template add_large<kBehind>(sums, fresh);
  }

  /// From a stage along rows through the one along columns, of kCount maps from kMap on.
  template <int kMap, int kCount>
  __device__ __forceinline__ void blur_along_columns(
      int b,
      const Product (&sums)[kCount],
      Product* results) // [kCount]
  {
    Product along[kCount];
    Operand before[kBehind][kCount], fresh[kCount];
    char* const places = shared_memory() + left_place + kMap * kOperandBytes;
    char* const oldest = places + b % kBehind * kMaps * kOperandBytes;
#pragma unroll
    for (int m = 0; m < kCount; ++m) {
      if constexpr (P::kLeftShared) {
        char* const last = places + (b + 1) % kBehind * kMaps * kOperandBytes;
        load(oldest + m * kOperandBytes, lane, before[0][m]);
        load(last + m * kOperandBytes, lane, before[kBehind - 1][m]);
      } else {
        before[0][m] = left[kMap + m];
      }
    }
    begin_products(before, along);
#pragma unroll
    for (int m = 0; m < kCount; ++m) {
      make_operand(fresh[m], sums[m]);
      if constexpr (P::kLeftShared) {
        store(oldest + m * kOperandBytes, lane, fresh[m]);
      } else {
        left[kMap + m] = fresh[m];
      }
    }
    finish_products(before, fresh, along);
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
