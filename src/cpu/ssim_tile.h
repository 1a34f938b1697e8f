#pragma once

// SSIM of one tile, forward and backward in one pass.
//
// NOTE [ Rolling blocks ]
//
// The tile is marched through from top to bottom, kBlockRows rows at a time,
// and all that is kept are the last rows of each stage, in rings that stay in
// the L2 cache. With r the radius, a step does
//
//   rows b .. b+7             read x, y; s, d and their squares;
//                             blurred horizontally into the ring `blurred`
//   rows b-r .. b-r+7         blurred vertically: SSIM, its sum or map, and its
//                             partial derivatives; those blurred horizontally
//                             into the ring `blurred_partials`
//   rows b-2r .. b-2r+7       partials blurred vertically: the gradient, which
//                             takes s and d from their ring, and is written
//
// The first step has b - r at the first row of the map that is needed: r rows
// above the tile for the gradient, the tile's first row without.

#include "kernels.h"
#include "lane_io.h"
#include "pivot.h"

#include <algorithm>

namespace fused_ssim::detail::cpu {
namespace {

enum class Gradient { kNone, kInput, kBoth };

template <typename T, int kRadius, Gradient kGradient>
class SSIMTile {
 public:
  SSIMTile(const Job& job, const Tile& tile);

  static std::size_t scratch_bytes(const Job& job, const Plan& plan);
  TermSums run(void* scratch);

 private:
  static constexpr int V = kLanes<T>;
  static constexpr bool kBackward = kGradient != Gradient::kNone;
  /// Derivatives in ms and md (their sum, if only the input's gradient is
  /// wanted), Es and Ed.
  static constexpr int kPartials = kGradient == Gradient::kBoth ? 4 : 3;

  /// Columns and rows around the tile that it depends on.
  static std::int64_t reach(const Problem& problem) {
    return (kBackward ? 2 : 1) * problem.window.radius;
  }

  void allocate(Arena& arena);
  void fill_masks();
  void read_rows(std::int64_t first_row, int slot_begin);
  void read_row(std::int64_t row);
  void write_row(
      const Writer<T>& writer,
      const LaneBlock<T>& block,
      int t,
      std::int64_t row,
      std::int64_t begin,
      std::int64_t end,
      std::int64_t margin);
  void forward(std::int64_t first_row);
  void blur_partials();
  void backward(std::int64_t first_row);

  const Problem& problem_;
  const Job& job_;
  const Tile tile_;
  const int radius_;
  const bool weighted_, mapped_;
  const Region map_region_, l1_region_;
  const std::int64_t column_begin_, columns_; // that are read
  const LaneLayout<T> lanes_;
  const Taps<T, kRadius> taps_, gradient_taps_;
  SSIMConstants<Vec<T>> constants_;
  Pivots<T> pivots_;

  Reader<T> input_, target_, weight_;
  Writer<T> map_, grad_input_, grad_target_;
  // Rows in memory order; the first two where those of the images cannot be
  // used.
  T *x_row_ = nullptr, *y_row_ = nullptr;
  T *sum_row_ = nullptr, *diff_row_ = nullptr, *weight_row_ = nullptr;
  T* out_row_ = nullptr;

  Ring<T, 2, kRadius> sum_diff_; // s, d
  Chunk<T, 2> squares_; // s^2, d^2 of the newest chunk
  Ring<T, 1, kRadius> weights_;
  Ring<T, 4, kRadius> blurred_; // s, d, s^2, d^2, horizontally
  Chunk<T, kPartials> partials_[kBlockChunks];
  Ring<T, kPartials, kRadius> blurred_partials_;
  LaneBlock<T> out_, out_target_;
  /// [position][lane], all bits set where the column belongs to: the map; the
  /// map and this tile; the region of L1 and this tile.
  T *map_mask_ = nullptr, *own_map_mask_ = nullptr, *own_l1_mask_ = nullptr;

  Sum<T> dssim_sum_, l1_sum_;
};

template <typename T, int kRadius, Gradient kGradient>
SSIMTile<T, kRadius, kGradient>::SSIMTile(const Job& job, const Tile& tile)
    : problem_(job.problem),
      job_(job),
      tile_(tile),
      radius_(problem_.window.radius),
      weighted_(problem_.weight.data != nullptr),
      mapped_(job.outputs.map.data != nullptr),
      map_region_(problem_.map_region),
      l1_region_(l1_region(problem_)),
      column_begin_(
          std::max<std::int64_t>(tile.column_begin - reach(problem_), 0)),
      columns_(
          std::min(tile.column_end + reach(problem_), problem_.width) -
          column_begin_),
      lanes_(columns_, radius_),
      taps_(problem_.window, 1),
      gradient_taps_(problem_.window, job.factors.ssim),
      input_(problem_.input, tile.image, tile.channel),
      target_(problem_.target, tile.image, tile.channel),
      weight_(problem_.weight, tile.image, tile.channel),
      map_(job.outputs.map, tile.image, tile.channel),
      grad_input_(job.outputs.grad_input, tile.image, tile.channel),
      grad_target_(job.outputs.grad_target, tile.image, tile.channel) {}

template <typename T, int kRadius, Gradient kGradient>
void SSIMTile<T, kRadius, kGradient>::allocate(Arena& arena) {
  const std::int64_t row = staged_size(lanes_);
  x_row_ = arena.take<T>(row);
  y_row_ = arena.take<T>(row);
  sum_row_ = arena.take<T>(row);
  diff_row_ = arena.take<T>(row);
  sum_diff_.allocate(arena, lanes_, radius_);
  squares_.allocate(arena, lanes_);
  blurred_.allocate(arena, lanes_, radius_);
  map_mask_ = arena.take<T>(lanes_.padded * V);
  own_map_mask_ = arena.take<T>(lanes_.padded * V);
  own_l1_mask_ = arena.take<T>(lanes_.padded * V);
  if (weighted_) {
    weight_row_ = arena.take<T>(row);
    weights_.allocate(arena, lanes_, radius_);
  }
  if (mapped_) {
    out_row_ = arena.take<T>(row);
    out_.allocate(arena, lanes_);
  }
  if (kBackward) {
    for (Chunk<T, kPartials>& chunk : partials_) {
      chunk.allocate(arena, lanes_);
    }
    blurred_partials_.allocate(arena, lanes_, radius_);
    out_row_ = arena.take<T>(row);
    out_.allocate(arena, lanes_);
  }
  if (kGradient == Gradient::kBoth) {
    out_target_.allocate(arena, lanes_);
  }
}

template <typename T, int kRadius, Gradient kGradient>
std::size_t SSIMTile<T, kRadius, kGradient>::scratch_bytes(
    const Job& job,
    const Plan& plan) {
  // The largest tile there may be: one in the middle of a wider image.
  Job wide = job;
  wide.problem.width = plan.tile_width() + 2 * reach(job.problem);
  const std::int64_t begin = reach(job.problem);
  SSIMTile tile(
      wide, {0, 0, 0, plan.tile_height(), begin, begin + plan.tile_width()});
  Arena arena(nullptr);
  tile.allocate(arena);
  return arena.used();
}

template <typename T, int kRadius, Gradient kGradient>
void SSIMTile<T, kRadius, kGradient>::fill_masks() {
  for (std::int64_t i = 0; i < lanes_.padded; ++i) {
    for (int j = 0; j < V; ++j) {
      const std::int64_t column = column_begin_ + j * lanes_.positions + i;
      const bool own = i < lanes_.positions && column >= tile_.column_begin &&
          column < tile_.column_end;
      const bool in_map =
          i < lanes_.positions && map_region_.has_column(column);
      map_mask_[i * V + j] = mask_bits<T>(in_map);
      own_map_mask_[i * V + j] = mask_bits<T>(in_map && own);
      own_l1_mask_[i * V + j] =
          mask_bits<T>(own && l1_region_.has_column(column));
    }
  }
}

template <typename T, int kRadius, Gradient kGradient>
TermSums SSIMTile<T, kRadius, kGradient>::run(void* scratch) {
  Arena arena(scratch);
  allocate(arena);
  fill_masks();
  pivots_ = find_pivots(
      problem_, tile_, column_begin_, columns_, lanes_, x_row_, y_row_);
  constants_ = {
      own(pivots_.sum),
      own(pivots_.difference),
      Vec<T>(static_cast<T>(2 * problem_.constants.c1)),
      Vec<T>(static_cast<T>(2 * problem_.constants.c2))};

  const std::int64_t first_map_row =
      tile_.row_begin - (kBackward ? radius_ : 0);
  const std::int64_t first_block = first_map_row + radius_;
  const int history = 2 * radius_;
  for (std::int64_t row = first_block - round_up(history, kChunkRows);
       row < first_block;
       row += kChunkRows) {
    const std::int64_t unneeded = first_block - history - row;
    read_rows(row, unneeded > 0 ? static_cast<int>(unneeded) : 0);
  }
  const int lag = (kBackward ? 2 : 1) * radius_;
  for (std::int64_t b = first_block; b - lag < tile_.row_end; b += kBlockRows) {
    for (int c = 0; c < kBlockChunks; ++c) {
      read_rows(b + c * kChunkRows, 0);
    }
    forward(b - radius_);
    if constexpr (kBackward) {
      blur_partials();
      if (b - lag + kBlockRows > tile_.row_begin) {
        backward(b - lag);
      }
    }
  }

  TermSums sums;
  sums.dssim = kValueScale * dssim_sum_.total();
  sums.l1 = l1_sum_.total();
  return sums;
}

/// Reads s, d and the weight of one row, 0 outside the image, and sums L1.
template <typename T, int kRadius, Gradient kGradient>
void SSIMTile<T, kRadius, kGradient>::read_row(std::int64_t row) {
  const bool inside = row >= 0 && row < problem_.height;
  const std::int64_t read = inside ? columns_ : 0;
  const T* x = inside ? input_.row(row, column_begin_, read, x_row_) : x_row_;
  const T* y = inside ? target_.row(row, column_begin_, read, y_row_) : y_row_;
  const Vec<T> inverse_unit(static_cast<T>(1 / problem_.constants.unit));
  // Segment after segment: what a vector writes past the end of its own is mended
  // with the next.
  for (int j = 0; j < V; ++j) {
    const Vec<T> sum_pivot(pivots_.sum[j + 1]);
    const Vec<T> difference_pivot(pivots_.difference[j + 1]);
    const std::int64_t end = (j + 1) * lanes_.positions;
    std::int64_t column = end - lanes_.positions;
    for (; column < end && column < read; column += V) {
      const std::int64_t left = read - column;
      const Vec<T> a = load_up_to(x + column, left) * inverse_unit;
      const Vec<T> b = load_up_to(y + column, left) * inverse_unit;
      (a + (b - sum_pivot)).store(sum_row_ + column);
      (a - b - difference_pivot).store(diff_row_ + column);
    }
    for (; column < end; column += V) {
      sum_pivot.neg().store(sum_row_ + column);
      difference_pivot.neg().store(diff_row_ + column);
    }
  }
  if (inside) {
    if (weighted_) {
      weight_.read(row, column_begin_, columns_, weight_row_);
    }
    if (job_.l1_sum && row >= tile_.row_begin && row < tile_.row_end &&
        l1_region_.has_row(row)) {
      const std::int64_t end =
          std::min(tile_.column_end, l1_region_.column_end) - column_begin_;
      for (std::int64_t i =
               std::max(tile_.column_begin, l1_region_.column_begin) -
               column_begin_;
           i < end;
           i += V) {
        const std::int64_t left = end - i;
        const Vec<T> d = (load_up_to(x + i, left) * inverse_unit -
                          load_up_to(y + i, left) * inverse_unit)
                             .abs();
        l1_sum_.add(weighted_ ? d * load_up_to(weight_row_ + i, left) : d);
      }
    }
  }
  if (weighted_) {
    for (std::int64_t i = read; i < staged_size(lanes_); ++i) {
      weight_row_[i] = 0;
    }
  }
}

/// Writes columns `begin` .. `end` of a row of results, row `row` of the image;
/// the output starts `margin` rows and columns inside the image.
template <typename T, int kRadius, Gradient kGradient>
void SSIMTile<T, kRadius, kGradient>::write_row(
    const Writer<T>& writer,
    const LaneBlock<T>& block,
    int t,
    std::int64_t row,
    std::int64_t begin,
    std::int64_t end,
    std::int64_t margin) {
  from_lanes<T>(
      [&](std::int64_t i) FUSED_SSIM_INLINE_LAMBDA { return block.at(i, t); },
      lanes_,
      out_row_);
  writer.write(
      row - margin,
      begin - margin,
      end - begin,
      out_row_ + (begin - column_begin_));
}

template <typename T, int kRadius, Gradient kGradient>
void SSIMTile<T, kRadius, kGradient>::read_rows(
    std::int64_t first_row,
    int slot_begin) {
  // Without a gradient or a map nobody looks back at s and d.
  const Chunk<T, 2> sum_diff =
      kBackward || mapped_ ? sum_diff_.advance() : sum_diff_.newest();
  const Chunk<T, 4> blurred = blurred_.advance();
  Chunk<T, 1> weights;
  if (weighted_) {
    weights = weights_.advance();
  }
  for (int slot = slot_begin; slot < kChunkRows; ++slot) {
    const std::int64_t row = first_row + slot;
    read_row(row);
    to_lanes(
        sum_row_,
        lanes_,
        [&](std::int64_t i, Vec<T> s) FUSED_SSIM_INLINE_LAMBDA {
          s.store(sum_diff.at(i, slot, 0));
          (s * s).store(squares_.at(i, slot, 0));
        });
    to_lanes(
        diff_row_,
        lanes_,
        [&](std::int64_t i, Vec<T> d) FUSED_SSIM_INLINE_LAMBDA {
          d.store(sum_diff.at(i, slot, 1));
          (d * d).store(squares_.at(i, slot, 1));
        });
    if (weighted_) {
      to_lanes(
          weight_row_,
          lanes_,
          [&](std::int64_t i, Vec<T> w)
              FUSED_SSIM_INLINE_LAMBDA { w.store(weights.at(i, slot)); });
    }
  }
  fill_halo(
      sum_diff,
      lanes_,
      [&](Side side, Vec<T>* values) FUSED_SSIM_INLINE_LAMBDA {
        values[0] = values[0] + shift(pivots_.sum, side);
        values[1] = values[1] + shift(pivots_.difference, side);
      });
  for_halo(lanes_, [&](std::int64_t i) FUSED_SSIM_INLINE_LAMBDA {
    for (int at = 0; at < Chunk<T, 2>::kPosition; at += V) {
      const Vec<T> v = load(sum_diff.at(i, 0) + at);
      (v * v).store(squares_.at(i, 0) + at);
    }
  });
  blur_rows<T, kRadius>(sum_diff, blurred, 0, slot_begin, lanes_, taps_);
  blur_rows<T, kRadius>(squares_, blurred, 2, slot_begin, lanes_, taps_);
}

} // namespace
} // namespace fused_ssim::detail::cpu
