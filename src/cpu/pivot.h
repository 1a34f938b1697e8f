#pragma once

#include "kernels.h"
#include "rows.h"

#include <cmath>

namespace fused_ssim::detail::cpu {
namespace {

/// p and q of NOTE [ Sum and difference ] for a tile.
struct Pivot {
  float sum = 0, difference = 0;
};

/// From a sample of the tile's pixels. Those that are not finite are left out: they
/// may spoil the windows that contain them, but no others.
template <typename T>
Pivot tile_pivot(const Problem& problem, const Tile& tile) {
  constexpr int kRows = 8, kRuns = 4, kRun = 16;
  const Reader<T> input(problem.input, tile.image, tile.channel);
  const Reader<T> target(problem.target, tile.image, tile.channel);
  const float data_range = static_cast<float>(problem.data_range);
  const std::int64_t rows = tile.row_end - tile.row_begin;
  const std::int64_t columns = tile.column_end - tile.column_begin;
  float low_sum = 0, high_sum = 0, low_difference = 0, high_difference = 0;
  bool any = false;
  for (int r = 0; r < kRows; ++r) {
    const std::int64_t row = tile.row_begin + rows * (2 * r + 1) / (2 * kRows);
    for (int c = 0; c < kRuns; ++c) {
      const std::int64_t begin = columns * c / kRuns;
      const std::int64_t left = columns * (c + 1) / kRuns - begin;
      const std::int64_t run = left < kRun ? left : kRun;
      T x[kRun], y[kRun];
      input.read(row, tile.column_begin + begin, run, x);
      target.read(row, tile.column_begin + begin, run, y);
      for (std::int64_t i = 0; i < run; ++i) {
        const float s = static_cast<float>(x[i] + y[i]);
        const float d = static_cast<float>(x[i] - y[i]);
        if (!std::isfinite(s) || !std::isfinite(d)) {
          continue;
        }
        const float sample = pivot_sample(s, data_range);
        low_sum = any && low_sum < sample ? low_sum : sample;
        high_sum = any && high_sum > sample ? high_sum : sample;
        low_difference = any && low_difference < d ? low_difference : d;
        high_difference = any && high_difference > d ? high_difference : d;
        any = true;
      }
    }
  }
  return {
      pivot(low_sum, high_sum),
      offset(
          low_difference, high_difference, static_cast<float>(2 * problem.c2))};
}

} // namespace
} // namespace fused_ssim::detail::cpu
