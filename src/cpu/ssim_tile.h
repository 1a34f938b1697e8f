#pragma once

// SSIM of one tile, forward and backward in one pass.
//
// NOTE [ Rolling blocks ]
//
// The tile is marched through from top to bottom, kBlockRows rows at a time. Only the
// last rows of each stage are kept, in rings that stay in the L2 cache. With r the
// radius, a step does the following for each channel of the tile:
//
//   rows b .. b+7         SSIMReader: reads x and y; s, d and their squares, blurred
//                         horizontally into the ring `blurred`
//   rows b-r .. b-r+7     SSIMForward: blurs these vertically; SSIM, its sum or map,
//                         and its partial derivatives
//   rows b-2r .. b-2r+7   SSIMBackward: blurs the partial derivatives of the rows
//                         above horizontally into a ring, then vertically; the
//                         gradient takes s and d from their ring, and is written
//
// The first step has b - r at the first row of the map that is needed: r rows above
// the tile for the gradient, the tile's first row without.

#include "ssim_backward.h"

namespace fused_ssim::detail::cpu {
namespace {

/// kPartials: see PartialIndex.
template <typename T, int kPartials>
class SSIMTile {
 public:
  SSIMTile(const Job& job, const Tile& tile)
      : frame_(job, tile),
        blurs_(blurs_by<T>(job.problem.window.radius)),
        reader_(frame_, blurs_),
        forward_(frame_, blurs_),
        backward_(frame_, blurs_) {}
  SSIMTile(const SSIMTile&) = delete;
  SSIMTile& operator=(const SSIMTile&) = delete;

  static std::size_t scratch_bytes(const Job& job, const Plan& plan) {
    // The largest tile there may be: one in the middle of a wider image.
    const std::int64_t begin = Frame<T>::reach(job);
    const std::int64_t end = begin + plan.tile_width();
    Job wide = job;
    wide.problem.width = end + begin;
    SSIMTile tile(
        wide, {0, 0, plan.tile_channels(), 0, plan.tile_height(), begin, end});
    Arena arena(nullptr);
    tile.allocate(arena);
    return arena.used();
  }

  TermSums run(void* scratch);

 private:
  static constexpr bool kBackward = kPartials > 0;
  struct Nothing {
    Nothing(const Frame<T>& /*frame*/, const Blurs<T>& /*blurs*/) {}
  };

  void allocate(Arena& arena) {
    reader_.allocate(arena);
    forward_.allocate(arena);
    if constexpr (kBackward) {
      backward_.allocate(arena);
    }
  }
  void move_pivots(std::int64_t first_map_row);
  void step(std::int64_t first_row);

  const Frame<T> frame_;
  const Blurs<T> blurs_;
  SSIMReader<T> reader_;
  SSIMForward<T, kPartials> forward_;
  std::conditional_t<kBackward, SSIMBackward<T, kPartials>, Nothing> backward_;
};

template <typename T, int kPartials>
TermSums SSIMTile<T, kPartials>::run(void* scratch) {
  Arena arena(scratch);
  allocate(arena);
  forward_.prepare();
  if constexpr (kBackward) {
    backward_.prepare();
  }

  const int radius = frame_.radius, history = 2 * radius;
  const Tile& tile = frame_.tile;
  const std::int64_t first_map_row = tile.row_begin - (kBackward ? radius : 0);
  const std::int64_t first_block = first_map_row + radius;
  reader_.find_pivots(first_map_row);
  for (std::int64_t row = first_block - round_up(history, kChunkRows);
       row < first_block;
       row += kChunkRows) {
    const std::int64_t unread = first_block - history - row;
    reader_.read_chunk(row, unread > 0 ? static_cast<int>(unread) : 0);
  }
  const int lag = (kBackward ? 2 : 1) * radius;
  for (std::int64_t b = first_block; b - lag < tile.row_end; b += kBlockRows) {
    if (b > first_block && (b - first_block) % kPivotRows == 0) {
      move_pivots(b - radius);
    }
    step(b);
  }

  TermSums sums;
  sums.dssim = forward_.dssim_sum();
  sums.l1 = reader_.l1_sum();
  return sums;
}

/// New pivots for the next kPivotRows rows of the map.
template <typename T, int kPartials>
void SSIMTile<T, kPartials>::move_pivots(std::int64_t first_map_row) {
  reader_.find_pivots(first_map_row);
  if constexpr (kBackward) {
    for (std::int64_t c = 0; c < frame_.tile.channels; ++c) {
      if (reader_.moved(c)) {
        backward_.move_pivots(reader_, c);
      }
    }
  }
}

/// Reads rows first_row .. first_row + kBlockRows, and brings the later stages as far
/// as these reach.
template <typename T, int kPartials>
void SSIMTile<T, kPartials>::step(std::int64_t first_row) {
  const int radius = frame_.radius;
  const Tile& tile = frame_.tile;
  for (int k = 0; k < kBlockChunks; ++k) {
    reader_.read_chunk(first_row + k * kChunkRows, 0);
  }
  const std::int64_t map_row = first_row - radius;
  const std::int64_t gradient_row = map_row - radius;
  const bool has_gradient = gradient_row + kBlockRows > tile.row_begin;
  for (std::int64_t c = 0; c < tile.channels; ++c) {
    forward_.run(reader_, c, map_row);
    if constexpr (kBackward) {
      backward_.add_partials(reader_, forward_, c);
      if (has_gradient) {
        backward_.run(reader_, c, gradient_row);
      }
    }
  }
  if (frame_.mapped) {
    forward_.write_map(map_row);
  }
  if constexpr (kBackward) {
    if (has_gradient) {
      backward_.write(gradient_row);
    }
  }
}

} // namespace
} // namespace fused_ssim::detail::cpu
