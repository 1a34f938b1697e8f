#pragma once

// The halo of NOTE [ Lane-strided rows ].

#include "lane_layout.h"

namespace fused_ssim::detail::cpu {
namespace {

/// Fills the halo of a chunk, row after row: `adjust(side, values)` is handed the
/// neighbour segments' values of all quantities, 0 outside of the segments, and turns
/// them into this segment's.
enum class Side { kLeft, kRight };
template <typename T, int kQuantities, typename Adjust>
FUSED_SSIM_INLINE void fill_halo(
    const Chunk<T, kQuantities>& chunk,
    const LaneLayout<T>& lanes,
    const Adjust& adjust) {
  constexpr int V = kLanes<T>;
  T lane[V];
  for (T& each : lane) {
    each = mask_bits<T>(true);
  }
  lane[0] = mask_bits<T>(false);
  const Vec<T> all_but_first = load(lane);
  lane[0] = mask_bits<T>(true);
  lane[V - 1] = mask_bits<T>(false);
  const Vec<T> all_but_last = load(lane);
  // Loads are a lane off, which shifts the lanes; both neighbours exist: they
  // are other vectors of the same chunk.
  const std::int64_t L = lanes.positions;
  for (int k = 1; k <= lanes.halo; ++k) {
    for (int row = 0; row < kChunkRows; ++row) {
      Vec<T> left[kQuantities], right[kQuantities];
      FUSED_SSIM_UNROLL
      for (int q = 0; q < kQuantities; ++q) {
        left[q] = load(chunk.at(L - k, row, q) - 1) & all_but_first;
        right[q] = load(chunk.at(k - 1, row, q) + 1) & all_but_last;
      }
      adjust(Side::kLeft, left);
      adjust(Side::kRight, right);
      FUSED_SSIM_UNROLL
      for (int q = 0; q < kQuantities; ++q) {
        left[q].store(chunk.at(-k, row, q));
        right[q].store(chunk.at(L - 1 + k, row, q));
      }
    }
  }
}

/// Calls f(position) for each position of the halo.
template <typename T, typename F>
FUSED_SSIM_INLINE void for_halo(const LaneLayout<T>& lanes, const F& f) {
  for (int k = 1; k <= lanes.halo; ++k) {
    f(-k);
    f(lanes.positions - 1 + k);
  }
}

} // namespace
} // namespace fused_ssim::detail::cpu
