#pragma once

#include "lanes.h"
#include "plan.h"
#include "rows.h"

#include <cmath>

namespace fused_ssim::detail::cpu {
namespace {

/// p and q of NOTE [ Sum and difference ], one of each for a segment of a tile's rows
/// (NOTE [ Lane-strided rows ]): the narrower the piece, the nearer its pixels. Lane j
/// has index j + 1, what is outside of the segments has 0.
template <typename T>
struct Pivots {
  T sum[kLanes<T> + 2] = {}, difference[kLanes<T> + 2] = {};
};

/// Of the segments themselves.
template <typename T>
FUSED_SSIM_INLINE Vec<T> own(const T* pivots) {
  return load(pivots + 1);
}

/// What a value of the neighbour segment lacks to be this segment's.
template <typename T>
FUSED_SSIM_INLINE Vec<T> shift(const T* pivots, Side side) {
  return load(pivots + (side == Side::kLeft ? 0 : 2)) - own(pivots);
}

/// From a sample of the tile's pixels. Those that are not finite are left out: they
/// may spoil the windows that contain them, but no others.
template <typename T>
Pivots<T> find_pivots(
    const Problem& problem,
    const Tile& tile,
    std::int64_t column_begin,
    std::int64_t columns,
    const LaneLayout<T>& lanes,
    T* x_row, // [columns]
    T* y_row) { // [columns]
  constexpr int V = kLanes<T>;
  constexpr int kRows = 8, kSamples = 64 / V; // of a segment's row
  PivotSample samples[V];
  const Reader<T> input(problem.input, tile.image, tile.channel);
  const Reader<T> target(problem.target, tile.image, tile.channel);
  const T inverse_unit = static_cast<T>(1 / problem.constants.unit);
  const float range = static_cast<float>(problem.constants.range);
  const std::int64_t rows = tile.row_end - tile.row_begin;
  for (int r = 0; r < kRows; ++r) {
    const std::int64_t row = tile.row_begin + rows * (2 * r + 1) / (2 * kRows);
    const T* x = input.row(row, column_begin, columns, x_row);
    const T* y = target.row(row, column_begin, columns, y_row);
    for (int j = 0; j < V; ++j) {
      const std::int64_t begin = j * lanes.positions;
      const std::int64_t left = columns - begin;
      const std::int64_t size = left < lanes.positions ? left : lanes.positions;
      for (int k = 0; k < kSamples && size > 0; ++k) {
        const std::int64_t column = begin + size * (2 * k + 1) / (2 * kSamples);
        const T a = x[column] * inverse_unit, b = y[column] * inverse_unit;
        const float s = static_cast<float>(a + b);
        const float d = static_cast<float>(a - b);
        if (std::isfinite(s) && std::isfinite(d)) {
          samples[j].include(s, d, range);
        }
      }
    }
  }
  Pivots<T> pivots;
  const float two_c2 = static_cast<float>(2 * problem.constants.c2);
  for (int j = 0; j < V; ++j) {
    pivots.sum[j + 1] = samples[j].sum_pivot();
    pivots.difference[j + 1] = samples[j].difference_pivot(two_c2);
  }
  return pivots;
}

} // namespace
} // namespace fused_ssim::detail::cpu
