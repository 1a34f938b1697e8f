#pragma once

// The second stage of NOTE [ Rolling blocks ]: SSIM, its sum or its map, and its
// partial derivatives.

#include "prefetch.h"
#include "ssim_reader.h"

namespace fused_ssim::detail::cpu {
namespace {

/// The partial derivatives that are blurred, by their place in a chunk. kPartials is 0
/// without a gradient, 3 for that of the input alone, 4 for those of both images.
enum PartialIndex {
  kOfInput, // in blur(s) plus that in blur(d)
  kOfSquaredSum, // in blur(s^2)
  kOfSquaredDifference, // in blur(d^2)
  kOfTarget, // in blur(s) less that in blur(d)
};

/// What a map shows, of |d| in units and of 1 - SSIM, or of 1 - cs, over kValueScale.
template <typename T>
struct MapTerms {
  MapTerms(const Problem& problem, const Outputs& outputs)
      : is_error_map(outputs.error_map.data != nullptr) {
    const Terms& terms = problem.terms;
    const ErrorTerms& error = outputs.error;
    const double l1_weight = is_error_map ? error.l1 : terms.l1_weight;
    double ssim_weight = terms.dssim_weight;
    if (is_error_map) {
      of_contrast_structure = error.contrast_structure != 0;
      ssim_weight = error.dssim + error.contrast_structure;
    }
    has_l1 = l1_weight != 0;
    has_ssim = ssim_weight != 0;
    l1 = static_cast<T>(l1_weight * problem.constants.unit);
    ssim = static_cast<T>(kValueScale * ssim_weight);
    constant = is_error_map ? T(0) : static_cast<T>(terms.constant);
  }

  bool is_error_map; // which is not weighted
  bool of_contrast_structure = false, has_l1, has_ssim;
  T l1, ssim, constant;
};

/// The map of either kind, if there is one.
inline const MutableView& map_of(const Outputs& outputs) {
  return outputs.map.data != nullptr ? outputs.map : outputs.error_map;
}

template <typename T, int kPartials>
class SSIMForward {
 public:
  SSIMForward(const Frame<T>& frame, const Blurs<T>& blurs)
      : frame_(frame),
        blurs_(blurs),
        taps_(frame.problem.window, 1),
        map_writer_(map_of(frame.job.outputs), frame.tile) {}

  void allocate(Arena& arena);
  void prepare(); // once the scratch is there
  /// Rows first_row .. first_row + kBlockRows of a channel.
  void run(
      const SSIMReader<T>& reader,
      std::int64_t channel,
      std::int64_t first_row);
  /// Those rows of the map, when run() was called for each channel.
  void write_map(std::int64_t first_row) const;

  /// What run() left.
  const Chunk<T, kPartials>& partials(int chunk) const {
    return partials_[chunk];
  }
  double dssim_sum() {
    return kValueScale * sum_.total();
  }

 private:
  static constexpr int V = kLanes<T>;

  const Frame<T>& frame_;
  const Blurs<T>& blurs_;
  const Taps<T> taps_;
  RowWriter<T> map_writer_;
  Chunk<T, kPartials> partials_[kBlockChunks];
  Block<T> map_[kMaxTileChannels];
  T* map_row_[kMaxTileChannels] = {}; // in memory order
  /// [position][lane]: the columns of the map; those of the map and the tile.
  T *map_mask_ = nullptr, *own_mask_ = nullptr;
  Sum<T> sum_; // of (1 - SSIM) / kValueScale
};

template <typename T, int kPartials>
void SSIMForward<T, kPartials>::allocate(Arena& arena) {
  const LaneLayout<T>& lanes = frame_.lanes;
  map_mask_ = arena.take<T>(lanes.padded * V);
  own_mask_ = arena.take<T>(lanes.padded * V);
  for (std::int64_t c = 0; c < frame_.tile.channels && frame_.mapped; ++c) {
    map_[c].allocate(arena, lanes);
    map_row_[c] = arena.take<T>(lanes.row_size());
  }
  if constexpr (kPartials > 0) {
    for (Chunk<T, kPartials>& chunk : partials_) {
      chunk.allocate(arena, lanes);
    }
  }
}

template <typename T, int kPartials>
void SSIMForward<T, kPartials>::prepare() {
  fill_mask(frame_, frame_.problem.map_region, /*own=*/false, map_mask_);
  fill_mask(frame_, frame_.problem.map_region, /*own=*/true, own_mask_);
}

template <typename T, int kPartials>
void SSIMForward<T, kPartials>::run(
    const SSIMReader<T>& reader,
    std::int64_t channel,
    std::int64_t first_row) {
  const Problem& problem = frame_.problem;
  const Outputs& outputs = frame_.job.outputs;
  const int radius = frame_.radius;
  // Bit t: row first_row + t.
  unsigned in_map = 0, own = 0;
  for (int t = 0; t < kBlockRows; ++t) {
    const std::int64_t row = first_row + t;
    const bool has_row = problem.map_region.has_row(row);
    in_map |= static_cast<unsigned>(has_row) << t;
    own |= static_cast<unsigned>(has_row && frame_.has_row(row)) << t;
  }
  const std::int64_t height = problem.height, column = frame_.column_begin;
  Prefetch next(first_row + radius + kBlockRows, height, column, V);
  next.add(problem.input, frame_.tile, channel);
  next.add(problem.target, frame_.tile, channel);
  Prefetch written(first_row - radius, height, column, V);
  written.add(outputs.grad_input, frame_.tile, channel);
  written.add(outputs.grad_target, frame_.tile, channel);
  const Region& region = problem.map_region;
  Prefetch map_rows(
      first_row - region.row_begin,
      region.rows(),
      column - region.column_begin,
      V);
  map_rows.add(map_of(outputs), frame_.tile, channel);

  // Stores of vectors may alias anything: what the loop uses is copied out of
  // *this, or it would be loaded again after each.
  const ChannelRows<T>& rows = reader.channel(channel);
  const Ring<T, 1>& weights = reader.weights(channel);
  const auto vertical = blurs_.template vertical<4>();
  const bool weighted = frame_.weighted, mapped = frame_.mapped;
  const SSIMConstants<Vec<T>> constants = {
      own_pivots(rows.pivots.sum),
      own_pivots(rows.pivots.difference),
      Vec<T>(static_cast<T>(2 * problem.constants.c1)),
      Vec<T>(static_cast<T>(2 * problem.constants.c2))};
  const Vec<T> zero(T(0));
  const MapTerms<T> terms(problem, outputs);
  const bool smooth = frame_.job.smooth_l1.beta > 0;
  const SmoothL1<Vec<T>> smooth_l1 = in_vectors<T>(frame_.job.smooth_l1);
  const Block<T> map = map_[channel];
  Sum<T> total = sum_;

  for (std::int64_t i = 0; i < frame_.lanes.positions; ++i) {
    next.step(i);
    written.step(i);
    if (mapped) {
      map_rows.step(i);
    }
    alignas(64) T means[4][kBlockRows][V];
    vertical(rows.blurred, i, taps_, means[0][0]);
    const Vec<T> map_mask = load(map_mask_ + i * V);
    Vec<T> sum(zero);
    FUSED_SSIM_NO_UNROLL
    for (int t = 0; t < kBlockRows; ++t) {
      next.touch(t);
      written.touch(t);
      const SSIMPixel<Vec<T>, VecMath<T>> pixel(
          {load(means[0][t]),
           load(means[1][t]),
           load(means[2][t]),
           load(means[3][t])},
          constants);
      Vec<T> half = pixel.dssim_half();
      Vec<T> map_value(zero), partials[4] = {zero, zero, zero, zero};
      if (mapped) {
        map_rows.touch(t);
        // A term of weight 0 is left out: an infinite difference must not meet its
        // zero.
        map_value = Vec<T>(terms.constant);
        if (terms.has_ssim) {
          map_value = VecMath<T>::fma(
              Vec<T>(terms.ssim),
              terms.of_contrast_structure ? pixel.vd_ratio : half,
              map_value);
        }
        if (terms.has_l1) {
          Vec<T> d = (load(rows.sum_diff.at(i, radius + t) + V) +
                      constants.difference_pivot)
                         .abs();
          if (smooth) {
            d = smooth_l1.template value<VecMath<T>>(d);
          }
          map_value = VecMath<T>::fma(Vec<T>(terms.l1), d, map_value);
        }
      }
      if constexpr (kPartials > 0) {
        const Partials<Vec<T>> p = pixel.partials();
        partials[kOfInput] = p.ms + p.md;
        partials[kOfSquaredSum] = p.ss;
        partials[kOfSquaredDifference] = p.dd;
        partials[kOfTarget] = p.ms - p.md;
      }
      if (weighted) {
        const Vec<T> weight = load(weights.at(i, radius + t));
        half = weighed(half, weight);
        if (!terms.is_error_map) {
          map_value = weighed(map_value, weight);
        }
        FUSED_SSIM_UNROLL
        for (int q = 0; q < kPartials; ++q) {
          partials[q] = weighed(partials[q], weight);
        }
      }
      if (mapped) {
        map_value.store(map.at(i, t));
      }
      if (own >> t & 1) {
        sum = sum + half;
      }
      const Vec<T> mask = in_map >> t & 1 ? map_mask : zero;
      FUSED_SSIM_UNROLL
      for (int q = 0; q < kPartials; ++q) {
        (partials[q] & mask)
            .store(partials_[t / kChunkRows].at(i, t % kChunkRows, q));
      }
    }
    total.add(sum & load(own_mask_ + i * V));
  }
  sum_ = total;
}

template <typename T, int kPartials>
void SSIMForward<T, kPartials>::write_map(std::int64_t first_row) const {
  const Region& region = frame_.problem.map_region;
  const std::int64_t begin =
      std::max(frame_.tile.column_begin, region.column_begin);
  const std::int64_t end = std::min(frame_.tile.column_end, region.column_end);
  for (int t = 0; t < kBlockRows; ++t) {
    const std::int64_t row = first_row + t;
    if (!frame_.has_row(row) || !region.has_row(row)) {
      continue;
    }
    const T* rows[kMaxTileChannels] = {};
    for (std::int64_t c = 0; c < frame_.tile.channels; ++c) {
      from_block(map_[c], t, frame_.lanes, map_row_[c]);
      rows[c] = map_row_[c] + (begin - frame_.column_begin);
    }
    map_writer_.write(
        row - region.row_begin, begin - region.column_begin, end - begin, rows);
  }
}

} // namespace
} // namespace fused_ssim::detail::cpu
