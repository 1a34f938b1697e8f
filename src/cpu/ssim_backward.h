#pragma once

// The third stage of NOTE [ Rolling blocks ]: the gradient, from the partial
// derivatives.

#include "ssim_forward.h"

namespace fused_ssim::detail::cpu {
namespace {

template <typename T, int kPartials>
class SSIMBackward {
 public:
  SSIMBackward(const Frame<T>& frame, const Blurs<T>& blurs)
      : frame_(frame),
        blurs_(blurs),
        taps_(frame.problem.window, 1),
        scaled_taps_(frame.problem.window, frame.job.factors.ssim),
        input_writer_(frame.job.outputs.grad_input, frame.tile),
        target_writer_(frame.job.outputs.grad_target, frame.tile) {}

  void allocate(Arena& arena);
  void prepare(); // once the scratch is there
  /// Takes the newest block of partial derivatives of a channel.
  void add_partials(
      const SSIMReader<T>& reader,
      const SSIMForward<T, kPartials>& forward,
      std::int64_t channel);
  /// After the reader has moved the pivots of a channel.
  void move_pivots(const SSIMReader<T>& reader, std::int64_t channel);
  /// Rows first_row .. first_row + kBlockRows of a channel's gradient.
  void run(
      const SSIMReader<T>& reader,
      std::int64_t channel,
      std::int64_t first_row);
  /// Those rows, when run() was called for each channel.
  void write(std::int64_t first_row) const;

 private:
  static constexpr int V = kLanes<T>;
  static constexpr bool kBoth = kPartials == 4;

  /// The partial derivatives of one vector of pixels for p and q less `sum_move` and
  /// `difference_move` (NOTE [ Pivots ]).
  template <typename Values>
  static FUSED_SSIM_INLINE void move_means(
      Values* partials,
      Vec<T> sum_move,
      Vec<T> difference_move) {
    using Math = VecMath<T>;
    const auto get = [&](PartialIndex index) FUSED_SSIM_INLINE_LAMBDA {
      if constexpr (std::is_same_v<Values, T>) {
        return load(partials + index * V);
      } else {
        return partials[index];
      }
    };
    const auto put = [&](PartialIndex index, Vec<T> v)
                         FUSED_SSIM_INLINE_LAMBDA {
                           if constexpr (std::is_same_v<Values, T>) {
                             v.store(partials + index * V);
                           } else {
                             partials[index] = v;
                           }
                         };
    const Vec<T> ss = get(kOfSquaredSum), dd = get(kOfSquaredDifference);
    put(kOfInput,
        Math::fnma(
            dd, difference_move, Math::fnma(ss, sum_move, get(kOfInput))));
    if constexpr (kBoth) {
      put(kOfTarget,
          Math::fma(
              dd, difference_move, Math::fnma(ss, sum_move, get(kOfTarget))));
    }
  }

  void write_row(
      const RowWriter<T>& writer,
      const Block<T>* gradient, // [channels]
      int t,
      std::int64_t row) const;

  const Frame<T>& frame_;
  const Blurs<T>& blurs_;
  const Taps<T> taps_, scaled_taps_;
  RowWriter<T> input_writer_, target_writer_;
  Ring<T, kPartials> blurred_[kMaxTileChannels]; // partials, horizontally
  Block<T> grad_input_[kMaxTileChannels], grad_target_[kMaxTileChannels];
  T* row_[kMaxTileChannels] = {}; // in memory order
  T* l1_mask_ = nullptr; // [position][lane]: the columns of L1 and the tile
};

template <typename T, int kPartials>
void SSIMBackward<T, kPartials>::allocate(Arena& arena) {
  const LaneLayout<T>& lanes = frame_.lanes;
  l1_mask_ = arena.take<T>(lanes.padded * V);
  for (std::int64_t c = 0; c < frame_.tile.channels; ++c) {
    blurred_[c].allocate(arena, lanes, frame_.radius);
    grad_input_[c].allocate(arena, lanes);
    if (kBoth) {
      grad_target_[c].allocate(arena, lanes);
    }
    row_[c] = arena.take<T>(lanes.row_size());
  }
}

template <typename T, int kPartials>
void SSIMBackward<T, kPartials>::prepare() {
  fill_mask(frame_, frame_.l1, /*own=*/true, l1_mask_);
}

template <typename T, int kPartials>
void SSIMBackward<T, kPartials>::add_partials(
    const SSIMReader<T>& reader,
    const SSIMForward<T, kPartials>& forward,
    std::int64_t channel) {
  const Pivots<T>& pivots = reader.channel(channel).pivots;
  const auto adjust = [&](Side side, Vec<T>* p) FUSED_SSIM_INLINE_LAMBDA {
    move_means(p, shift(pivots.sum, side), shift(pivots.difference, side));
  };
  const auto horizontal = blurs_.template horizontal<kPartials>();
  for (int k = 0; k < kBlockChunks; ++k) {
    const Chunk<T, kPartials> chunk = forward.partials(k);
    fill_halo(chunk, frame_.lanes, adjust);
    horizontal(chunk, blurred_[channel].advance(), 0, 0, frame_.lanes, taps_);
  }
}

template <typename T, int kPartials>
void SSIMBackward<T, kPartials>::move_pivots(
    const SSIMReader<T>& reader,
    std::int64_t channel) {
  const ChannelRows<T>& rows = reader.channel(channel);
  const Vec<T> sum_move =
      own_pivots(rows.old_pivots.sum) - own_pivots(rows.pivots.sum);
  const Vec<T> difference_move = own_pivots(rows.old_pivots.difference) -
      own_pivots(rows.pivots.difference);
  const int kept = history_chunks(frame_.radius) + kBlockChunks;
  for (int k = kBlockChunks; k < kept; ++k) { // the others are written anew
    const Chunk<T, kPartials> chunk = blurred_[channel].chunk(k);
    for (std::int64_t i = 0; i < frame_.lanes.positions; ++i) {
      for (int row = 0; row < kChunkRows; ++row) {
        move_means(chunk.at(i, row), sum_move, difference_move);
      }
    }
  }
}

template <typename T, int kPartials>
void SSIMBackward<T, kPartials>::run(
    const SSIMReader<T>& reader,
    std::int64_t channel,
    std::int64_t first_row) {
  using Math = VecMath<T>;
  unsigned in_l1 = 0; // bit t: row first_row + t
  for (int t = 0; t < kBlockRows; ++t) {
    in_l1 |= static_cast<unsigned>(frame_.l1.has_row(first_row + t)) << t;
  }
  const ChannelRows<T>& rows = reader.channel(channel);
  const Ring<T, 1>& weights = reader.weights(channel);
  const auto vertical = blurs_.template vertical<kPartials>();
  const bool weighted = frame_.weighted;
  const Block<T> grad_input = grad_input_[channel];
  const Block<T> grad_target = grad_target_[channel];
  const Vec<T> zero(T(0));
  const Vec<T> l1_factor(static_cast<T>(frame_.job.factors.l1));
  const bool smooth = frame_.job.smooth_l1.beta > 0;
  const SmoothL1<Vec<T>> smooth_l1 = in_vectors<T>(frame_.job.smooth_l1);
  const Vec<T> same = own_pivots(rows.pivots.difference).neg(); // d where x = y
  for (std::int64_t i = 0; i < frame_.lanes.positions; ++i) {
    alignas(64) T blurred[kPartials][kBlockRows][V];
    vertical(blurred_[channel], i, scaled_taps_, blurred[0][0]);
    const Vec<T> slope = l1_factor & load(l1_mask_ + i * V);
    FUSED_SSIM_NO_UNROLL
    for (int t = 0; t < kBlockRows; ++t) {
      const T* sum_diff = rows.sum_diff.at(i, t);
      Vec<T> s = load(sum_diff), d = load(sum_diff + V);
      const Vec<T> of_input = load(blurred[kOfInput][t]);
      const Vec<T> ss = load(blurred[kOfSquaredSum][t]);
      const Vec<T> dd = load(blurred[kOfSquaredDifference][t]);
      Vec<T> amplitude = in_l1 >> t & 1 ? slope : zero;
      if (smooth) {
        amplitude =
            amplitude * smooth_l1.template slope<Math>((d - same).abs());
      }
      Vec<T> l1 = signed_as(d, same, amplitude);
      if (weighted) {
        l1 = l1 * load(weights.at(i, t));
        // Where no window counts that holds this pixel, its NaN does not count either.
        const NonZero<T> counted(ss | dd);
        s = counted.of(s);
        d = counted.of(d);
      }
      Math::fma(s, ss, Math::fma(d, dd, of_input + l1))
          .store(grad_input.at(i, t));
      if constexpr (kBoth) {
        const Vec<T> of_target = load(blurred[kOfTarget][t]);
        Math::fma(s, ss, Math::fnma(d, dd, of_target - l1))
            .store(grad_target.at(i, t));
      }
    }
  }
}

template <typename T, int kPartials>
void SSIMBackward<T, kPartials>::write(std::int64_t first_row) const {
  for (int t = 0; t < kBlockRows; ++t) {
    const std::int64_t row = first_row + t;
    if (!frame_.has_row(row)) {
      continue;
    }
    write_row(input_writer_, grad_input_, t, row);
    if constexpr (kBoth) {
      write_row(target_writer_, grad_target_, t, row);
    }
  }
}

template <typename T, int kPartials>
void SSIMBackward<T, kPartials>::write_row(
    const RowWriter<T>& writer,
    const Block<T>* gradient,
    int t,
    std::int64_t row) const {
  const Tile& tile = frame_.tile;
  const T* rows[kMaxTileChannels] = {};
  for (std::int64_t c = 0; c < tile.channels; ++c) {
    from_block(gradient[c], t, frame_.lanes, row_[c]);
    rows[c] = row_[c] + (tile.column_begin - frame_.column_begin);
  }
  writer.write(
      row, tile.column_begin, tile.column_end - tile.column_begin, rows);
}

} // namespace
} // namespace fused_ssim::detail::cpu
