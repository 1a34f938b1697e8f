#pragma once

#include "kernels.h"
#include "lane_layout.h"

#include <algorithm>

namespace fused_ssim::detail::cpu {
namespace {

/// What the parts of a tile share: the problem, and where the tile lies in it.
template <typename T>
struct Frame {
  Frame(const Job& job, const Tile& tile)
      : job(job),
        problem(job.problem),
        tile(tile),
        radius(problem.window.radius),
        weighted(problem.weight.data != nullptr),
        mapped(
            job.outputs.map.data != nullptr ||
            job.outputs.error_map.data != nullptr),
        backward(job.outputs.grad_input.data != nullptr),
        l1(l1_region(problem)),
        column_begin(std::max<std::int64_t>(tile.column_begin - reach(job), 0)),
        columns(
            std::min(tile.column_end + reach(job), problem.width) -
            column_begin),
        lanes(columns, radius) {}

  /// Columns and rows around a tile that it depends on.
  static std::int64_t reach(const Job& job) {
    const bool backward = job.outputs.grad_input.data != nullptr;
    return (backward ? 2 : 1) * job.problem.window.radius;
  }

  bool has_row(std::int64_t row) const {
    return row >= tile.row_begin && row < tile.row_end;
  }

  const Job& job;
  const Problem& problem;
  const Tile tile;
  const int radius;
  /// Whether there are weights, a map of either kind, a gradient.
  const bool weighted, mapped, backward;
  const Region l1; // the pixels that L1 sums
  const std::int64_t column_begin, columns; // that are read
  const LaneLayout<T> lanes;
};

/// [position][lane], all bits set in the columns that a region and the tile share, or,
/// without `own`, in those of the region alone.
template <typename T>
void fill_mask(
    const Frame<T>& frame,
    const Region& region,
    bool own,
    T* mask) { // [lanes.padded][V]
  constexpr int V = kLanes<T>;
  const Tile& tile = frame.tile;
  for (std::int64_t i = 0; i < frame.lanes.padded; ++i) {
    for (int j = 0; j < V; ++j) {
      const std::int64_t column =
          frame.column_begin + j * frame.lanes.positions + i;
      const bool in_tile =
          column >= tile.column_begin && column < tile.column_end;
      mask[i * V + j] = mask_bits<T>(
          i < frame.lanes.positions && region.has_column(column) &&
          (in_tile || !own));
    }
  }
}

} // namespace
} // namespace fused_ssim::detail::cpu
