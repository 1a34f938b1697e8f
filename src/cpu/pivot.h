#pragma once

#include "kernels.h"
#include "rows.h"

#include <cmath>

namespace fused_ssim::detail::cpu {
namespace {

/// About the mean of x + y over a tile: any number near does, see
/// NOTE [ Sum and difference ]. Rounded to 12 significant bits, so that
/// subtracting it from nearby numbers is exact. Samples that are not finite are
/// left out: they may spoil the windows that contain them, but no others.
template <typename T>
T tile_pivot(const Problem& problem, const Tile& tile) {
  constexpr int kRows = 8, kRuns = 4, kRun = 16;
  const Reader<T> input(problem.input, tile.image, tile.channel);
  const Reader<T> target(problem.target, tile.image, tile.channel);
  const std::int64_t rows = tile.row_end - tile.row_begin;
  const std::int64_t columns = tile.column_end - tile.column_begin;
  double sum = 0;
  std::int64_t count = 0;
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
        const double s = static_cast<double>(x[i]) + static_cast<double>(y[i]);
        if (std::isfinite(s)) {
          sum += s;
          ++count;
        }
      }
    }
  }
  const double mean = count == 0 ? 0 : sum / static_cast<double>(count);
  int exponent = 0;
  const double fraction = std::frexp(mean, &exponent);
  const T pivot = static_cast<T>(
      std::ldexp(std::nearbyint(std::ldexp(fraction, 12)), exponent - 12));
  return std::isfinite(pivot) ? pivot : T(0);
}

} // namespace
} // namespace fused_ssim::detail::cpu
