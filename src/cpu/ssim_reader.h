#pragma once

// The first stage of NOTE [ Rolling blocks ]: from pixels to the four maps, blurred
// horizontally.

#include "blur.h"
#include "halo.h"
#include "pivots.h"
#include "planes.h"
#include "ssim_frame.h"
#include "sum.h"
#include "transpose.h"

#include <algorithm>

namespace fused_ssim::detail::cpu {
namespace {

/// One channel of a tile, as the later stages see it.
template <typename T>
struct ChannelRows {
  Pivots<T> pivots, old_pivots; // those of now, and those before the last move
  Ring<T, 2> sum_diff; // s, d
  Ring<T, 4> blurred; // s, d, s^2, d^2, horizontally
};

template <typename T>
class SSIMReader {
 public:
  SSIMReader(const Frame<T>& frame, const Blurs<T>& blurs);

  void allocate(Arena& arena);
  /// Finds the pivots for the next kPivotRows rows. If they move, it converts the rows
  /// that were read. moved() tells for which channels they have moved.
  void find_pivots(std::int64_t first_row);
  bool moved(std::int64_t channel) const {
    return moved_[channel];
  }
  /// Reads rows first_row + slot_begin .. first_row + kChunkRows.
  void read_chunk(std::int64_t first_row, int slot_begin);

  const ChannelRows<T>& channel(std::int64_t c) const {
    return channels_[c];
  }
  /// The weights of a channel.
  const Ring<T, 1>& weights(std::int64_t c) const {
    return weights_[weight_.channels() == 1 ? 0 : c];
  }
  double l1_sum() {
    return l1_sum_.total();
  }

 private:
  static constexpr int V = kLanes<T>;

  void read_images(std::int64_t row);
  void read_weights(std::int64_t row);
  void combine(std::int64_t channel, std::int64_t count);
  void add_l1(std::int64_t channel, std::int64_t row);
  void blur_chunk(std::int64_t channel, int slot_begin);
  void move_pivots(std::int64_t channel);
  bool inside(std::int64_t row) const {
    return row >= 0 && row < frame_.problem.height;
  }

  const Frame<T>& frame_;
  const Blurs<T>& blurs_;
  const Taps<T> taps_;
  RowReader<T> input_, target_, weight_;
  ChannelRows<T> channels_[kMaxTileChannels];
  Chunk<T, 2> squares_[kMaxTileChannels]; // s^2, d^2 of the newest chunk
  Ring<T, 1> weights_[kMaxTileChannels];
  T *sum_row_ = nullptr, *diff_row_ = nullptr; // s and d in memory order
  Sum<T> l1_sum_;
  bool has_pivots_ = false, moved_[kMaxTileChannels] = {};
};

template <typename T>
SSIMReader<T>::SSIMReader(const Frame<T>& frame, const Blurs<T>& blurs)
    : frame_(frame),
      blurs_(blurs),
      taps_(frame.problem.window, 1),
      input_(frame.problem.input, frame.tile, RowReader<T>::Mode::kInPlace),
      target_(frame.problem.target, frame.tile, RowReader<T>::Mode::kInPlace),
      weight_(frame.problem.weight, frame.tile, RowReader<T>::Mode::kCopy) {}

template <typename T>
void SSIMReader<T>::allocate(Arena& arena) {
  const LaneLayout<T>& lanes = frame_.lanes;
  const std::int64_t row_size = lanes.row_size();
  input_.allocate(arena, row_size);
  target_.allocate(arena, row_size);
  sum_row_ = arena.take<T>(row_size);
  diff_row_ = arena.take<T>(row_size);
  for (std::int64_t c = 0; c < frame_.tile.channels; ++c) {
    channels_[c].sum_diff.allocate(arena, lanes, frame_.radius);
    channels_[c].blurred.allocate(arena, lanes, frame_.radius);
    squares_[c].allocate(arena, lanes);
  }
  if (frame_.weighted) {
    weight_.allocate(arena, row_size);
    for (std::int64_t c = 0; c < weight_.channels(); ++c) {
      weights_[c].allocate(arena, lanes, frame_.radius);
    }
  }
}

template <typename T>
void SSIMReader<T>::find_pivots(std::int64_t first_row) {
  constexpr int kSampled = 4; // rows that are looked at
  const Constants& constants = frame_.problem.constants;
  const std::int64_t channels = frame_.tile.channels;
  PivotFinder<T> finders[kMaxTileChannels] = {
      PivotFinder<T>(constants),
      PivotFinder<T>(constants),
      PivotFinder<T>(constants),
      PivotFinder<T>(constants)};
  const auto sample = [&](const auto& include) {
    for (int r = 0; r < kSampled; ++r) {
      const std::int64_t row =
          first_row + kPivotRows * (2 * r + 1) / (2 * kSampled);
      read_images(std::clamp<std::int64_t>(row, 0, frame_.problem.height - 1));
      for (std::int64_t c = 0; c < channels; ++c) {
        include(finders[c], input_.row(c), target_.row(c));
      }
    }
  };
  for (std::int64_t c = 0; c < channels; ++c) {
    finders[c].begin();
  }
  sample([&](auto& finder, const T* x, const T* y) {
    finder.include(x, y, frame_.columns, frame_.lanes);
  });
  bool found_all = true;
  for (std::int64_t c = 0; c < channels; ++c) {
    found_all = finders[c].finish(frame_.columns, frame_.lanes) && found_all;
  }
  if (!found_all) {
    sample([&](auto& finder, const T* x, const T* y) {
      finder.include_others(x, y, frame_.columns, frame_.lanes);
    });
  }
  for (std::int64_t c = 0; c < frame_.tile.channels; ++c) {
    ChannelRows<T>& channel = channels_[c];
    channel.old_pivots = channel.pivots;
    moved_[c] = finders[c].update(channel.pivots, !has_pivots_) && has_pivots_;
    if (moved_[c]) {
      move_pivots(c);
    }
  }
  has_pivots_ = true;
}

/// Converts the rows that were read from the old pivots to the new ones.
template <typename T>
void SSIMReader<T>::move_pivots(std::int64_t channel) {
  using Math = VecMath<T>;
  const ChannelRows<T>& rows = channels_[channel];
  const Vec<T> sum_move =
      own_pivots(rows.pivots.sum) - own_pivots(rows.old_pivots.sum);
  const Vec<T> old_same = own_pivots(rows.old_pivots.difference).neg();
  const DifferenceShift<T> to_new(
      own_pivots(rows.pivots.difference),
      own_pivots(rows.pivots.difference_step));
  const Vec<T> difference_move = own_pivots(rows.pivots.difference) + old_same;
  const std::int64_t positions = frame_.lanes.positions;
  const int kept = history_chunks(frame_.radius) + kBlockChunks;
  const bool has_history = frame_.backward || frame_.mapped;
  for (int k = kBlockChunks; k < kept; ++k) { // the others are read anew
    for (std::int64_t i = 0; i < positions && has_history; ++i) {
      for (int row = 0; row < kChunkRows; ++row) {
        T* s = rows.sum_diff.chunk(k).at(i, row);
        T* d = s + V;
        (load(s) - sum_move).store(s);
        to_new.from_old(load(d), old_same).store(d);
      }
    }
    for (std::int64_t i = 0; i < positions; ++i) {
      for (int row = 0; row < kChunkRows; ++row) {
        T* s = rows.blurred.chunk(k).at(i, row);
        const auto move = [&](T* mean, Vec<T> by) FUSED_SSIM_INLINE_LAMBDA {
          T* square = mean + 2 * V;
          const Vec<T> old = load(mean), moved = old - by;
          moved.store(mean);
          Math::fnma(by, old + moved, load(square)).store(square);
        };
        move(s, sum_move);
        move(s + V, difference_move);
      }
    }
  }
}

template <typename T>
void SSIMReader<T>::read_images(std::int64_t row) {
  input_.read(row, frame_.column_begin, frame_.columns);
  target_.read(row, frame_.column_begin, frame_.columns);
}

/// 0 outside of the image.
template <typename T>
void SSIMReader<T>::read_weights(std::int64_t row) {
  const std::int64_t count = inside(row) ? frame_.columns : 0;
  if (count > 0) {
    weight_.read(row, frame_.column_begin, count);
  }
  for (std::int64_t c = 0; c < weight_.channels(); ++c) {
    T* weights = weight_.buffer(c);
    for (std::int64_t i = count; i < frame_.lanes.row_size(); ++i) {
      weights[i] = 0;
    }
  }
}

/// s and d of a row's first `count` pixels, and of 0 beyond.
template <typename T>
void SSIMReader<T>::combine(std::int64_t channel, std::int64_t count) {
  const T* x = input_.row(channel); // [count]
  const T* y = target_.row(channel); // [count]
  const Pivots<T>& pivots = channels_[channel].pivots;
  const std::int64_t L = frame_.lanes.positions;
  const Vec<T> inverse_unit(static_cast<T>(1 / frame_.problem.constants.unit));
  // Segment after segment. A vector may write past the end of its segment; the next
  // segment then overwrites that.
  for (int j = 0; j < V; ++j) {
    const Vec<T> sum_pivot(pivots.sum[j + 1]);
    const T q = pivots.difference[j + 1];
    const Vec<T> difference_pivot(q), same(-q); // same: d where x = y
    const std::int64_t end = (j + 1) * L;
    std::int64_t i = end - L;
    const auto each_vector = [&](const auto& pivoted) FUSED_SSIM_INLINE_LAMBDA {
      for (; i < end && i < count; i += V) {
        const std::int64_t left = count - i;
        const Vec<T> a = load_up_to(x + i, left) * inverse_unit;
        const Vec<T> b = load_up_to(y + i, left) * inverse_unit;
        (a + (b - sum_pivot)).store(sum_row_ + i);
        pivoted(a - b).store(diff_row_ + i);
      }
    };
    if (q == 0) {
      each_vector([&](Vec<T> d) FUSED_SSIM_INLINE_LAMBDA { return d; });
    } else {
      const DifferenceShift<T> shift(
          difference_pivot, Vec<T>(pivots.difference_step[j + 1]));
      each_vector([&](Vec<T> d) FUSED_SSIM_INLINE_LAMBDA {
        return shift.from_difference(d);
      });
    }
    for (; i < end; i += V) {
      sum_pivot.neg().store(sum_row_ + i);
      same.store(diff_row_ + i);
    }
  }
}

template <typename T>
void SSIMReader<T>::add_l1(std::int64_t channel, std::int64_t row) {
  const Tile& tile = frame_.tile;
  if (!frame_.has_row(row) || !frame_.l1.has_row(row)) {
    return;
  }
  const T* x = input_.row(channel);
  const T* y = target_.row(channel);
  const T* weights = frame_.weighted ? weight_.row(channel) : nullptr;
  const Vec<T> inverse_unit(static_cast<T>(1 / frame_.problem.constants.unit));
  const bool smooth = frame_.job.smooth_l1.beta > 0;
  const SmoothL1<Vec<T>> smooth_l1 = in_vectors<T>(frame_.job.smooth_l1);
  std::int64_t i =
      std::max(tile.column_begin, frame_.l1.column_begin) - frame_.column_begin;
  const std::int64_t end =
      std::min(tile.column_end, frame_.l1.column_end) - frame_.column_begin;
  for (; i < end; i += V) {
    const std::int64_t left = end - i;
    Vec<T> d = (load_up_to(x + i, left) * inverse_unit -
                load_up_to(y + i, left) * inverse_unit)
                   .abs();
    if (smooth) {
      d = smooth_l1.template value<VecMath<T>>(d);
    }
    l1_sum_.add(
        weights != nullptr ? weighed(d, load_up_to(weights + i, left)) : d);
  }
}

template <typename T>
void SSIMReader<T>::read_chunk(std::int64_t first_row, int slot_begin) {
  const LaneLayout<T>& lanes = frame_.lanes;
  const std::int64_t channels = frame_.tile.channels;
  for (std::int64_t c = 0; c < channels; ++c) {
    // Without a gradient or a map s and d are not needed later.
    if (frame_.backward || frame_.mapped) {
      channels_[c].sum_diff.advance();
    }
    channels_[c].blurred.advance();
  }
  for (std::int64_t c = 0; c < weight_.channels() && frame_.weighted; ++c) {
    weights_[c].advance();
  }
  for (int slot = slot_begin; slot < kChunkRows; ++slot) {
    const std::int64_t row = first_row + slot;
    if (inside(row)) {
      read_images(row);
    }
    if (frame_.weighted) {
      read_weights(row);
    }
    for (std::int64_t c = 0; c < channels; ++c) {
      combine(c, inside(row) ? frame_.columns : 0);
      if (frame_.job.l1_sum) {
        add_l1(c, row);
      }
      const Chunk<T, 2> sum_diff = channels_[c].sum_diff.newest();
      const Chunk<T, 2> squares = squares_[c];
      for (int q = 0; q < 2; ++q) {
        to_lanes(
            q == 0 ? sum_row_ : diff_row_,
            lanes,
            [&](std::int64_t i, Vec<T> v) FUSED_SSIM_INLINE_LAMBDA {
              v.store(sum_diff.at(i, slot, q));
              (v * v).store(squares.at(i, slot, q));
            });
      }
    }
    for (std::int64_t c = 0; c < weight_.channels() && frame_.weighted; ++c) {
      const Chunk<T, 1> weights = weights_[c].newest();
      to_lanes(
          weight_.buffer(c),
          lanes,
          [&](std::int64_t i, Vec<T> w)
              FUSED_SSIM_INLINE_LAMBDA { w.store(weights.at(i, slot)); });
    }
  }
  for (std::int64_t c = 0; c < channels; ++c) {
    blur_chunk(c, slot_begin);
  }
}

template <typename T>
void SSIMReader<T>::blur_chunk(std::int64_t channel, int slot_begin) {
  const LaneLayout<T>& lanes = frame_.lanes;
  const Pivots<T>& pivots = channels_[channel].pivots;
  const Chunk<T, 2> sum_diff = channels_[channel].sum_diff.newest();
  const Chunk<T, 2> squares = squares_[channel];
  const Chunk<T, 4> blurred = channels_[channel].blurred.newest();
  fill_halo(
      sum_diff, lanes, [&](Side side, Vec<T>* values) FUSED_SSIM_INLINE_LAMBDA {
        values[0] = values[0] + shift(pivots.sum, side);
        values[1] = values[1] + shift(pivots.difference, side);
      });
  for_halo(lanes, [&](std::int64_t i) FUSED_SSIM_INLINE_LAMBDA {
    for (int at = 0; at < Chunk<T, 2>::kPosition; at += V) {
      const Vec<T> v = load(sum_diff.at(i, 0) + at);
      (v * v).store(squares.at(i, 0) + at);
    }
  });
  const auto horizontal = blurs_.template horizontal<2>();
  horizontal(sum_diff, blurred, 0, slot_begin, lanes, taps_);
  horizontal(squares, blurred, 2, slot_begin, lanes, taps_);
}

} // namespace
} // namespace fused_ssim::detail::cpu
