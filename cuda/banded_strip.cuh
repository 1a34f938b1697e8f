#pragma once

// What a warp of the banded kernel does around its steps: its way through the images,
// the pivots, the pixels. NOTE [ A strip, row by row of blocks ] is in banded_kernel.cuh.

#include "band.cuh"
#include "banded_policy.h"
#include "elements.cuh"
#include "reduce.cuh"

#include "ssim_math.h"

namespace fused_ssim::detail::cuda {

/// What the compiler knows of the images: float32 ones go through shared memory while
/// the warp works on the block before.
template <bool kFloatInput, bool kFloatTarget, bool kWeights>
struct BandedImages {
  static constexpr bool kInput = kFloatInput;
  static constexpr bool kTarget = kFloatTarget;
  static constexpr bool kMayHaveWeights = kWeights;
};

template <Mode kMode, int kSpan, typename Images>
class BandedStrip {
 protected:
  using P = BandedPolicy<kMode, kSpan>;
  using Math = DeviceMath<float>;
  static constexpr bool kHasGradient = P::kHasGradient;
  static constexpr bool kBoth = kMode == Mode::kBothGradients;
  static constexpr int kPartials = kHasGradient ? P::kPartials : 1;
  // Powers of two that bring the values into float16's range: s, and the roots of the
  // squares; d, whose small values count.
  static constexpr float kScale = 64, kDifferenceScale = 4096;

  __device__ __forceinline__ explicit BandedStrip(const BandedParams& params)
      : p(params.ssim),
        all(params),
        warp(uniform(threadIdx.x / kWarpSize)),
        lane(threadIdx.x % kWarpSize),
        lane_row(kLaneRows * (lane & 3)),
        lane_column(kLanePairs * (lane >> 2)),
        columns(params.strip_blocks + P::kLead),
        band(params.window, lane) {
    const auto at = P::layout(params.strip_blocks);
    forward_history = at.forward;
    backward_history = at.backward;
    const int row_bytes = 2 * columns * static_cast<int>(sizeof(Signal));
    mine = at.signals + warp * row_bytes;
    above = at.signals + (warp > 0 ? warp - 1 : P::kWarps - 1) * row_bytes;
    stage = at.stage + warp * 2 * P::kStageBytes;
    stash = at.stash + warp * P::kStashBytes;
    left_place = at.left + warp * P::kLeftBytes;
    for (int i = threadIdx.x; i < P::kWarps * 2 * columns;
         i += P::kWarps * kWarpSize) {
      signal(at.signals, i).init();
    }
  }

  const SSIMParams<float>& p;
  const BandedParams& all;
  const int warp, lane;
  const int lane_row, lane_column; // the first of this lane's in a block
  const int columns; // blocks of a row, lead included
  const Band<kSpan> band;
  // Places in shared memory: BandedPolicy::Layout, this warp's.
  int forward_history, backward_history, stage, stash, left_place;
  int mine,
      above; // signals [forward, backward][columns], of this row, of the last one

  // The segment.
  std::int64_t image;
  int channel;
  int x0, x1, y0, y1; // of the strip and in the strip, its own pixels
  float sum_pivot, difference_pivot; // scaled by kScale, kDifferenceScale
  float weight_scale; // a power of two that brings weights to about 1

  // The row of blocks and the step.
  int row, column; // of the newest block, the first
  const char *input_next, *target_next; // of the next block
  Raw<float> input_raw[2][4],
      target_raw[2][4]; // of the next block, not float32's

  /// The strips of all images are laid end to end, as in strip.cuh. All warps go
  /// through the segments alike; of the rows of blocks, counted through, each takes
  /// every kWarps-th: run_row(index, the row's place in its segment).
  template <typename RunRow>
  __device__ __forceinline__ void for_each_row(const RunRow& run_row) {
    const int beside = static_cast<int>(blockIdx.x) % p.beside;
    const std::int64_t block = blockIdx.x / p.beside;
    const std::int64_t blocks = gridDim.x / p.beside;
    const int channels = p.channels / p.beside;
    const std::int64_t length = p.batch * channels * p.strips * p.strip_length;
    const std::int64_t end = length * (block + 1) / blocks;
    int done = 0, next = warp; // rows of blocks
    for (std::int64_t at = length * block / blocks; at < end;) {
      std::int64_t strip = at / p.strip_length;
      const int from = static_cast<int>(at - strip * p.strip_length);
      const int to = static_cast<int>(
          min(end - strip * p.strip_length, std::int64_t(p.strip_length)));
      at += to - from;
      // A strip is longer by one row of blocks, what it costs to begin one.
      y0 = p.own_region.row_begin + max(from - 1, 0) * kBlock;
      y1 =
          min(p.own_region.row_begin + (to - 1) * kBlock, p.own_region.row_end);
      const int count =
          y0 < y1 ? (y1 - y0 + kBlock - 1) / kBlock + P::kLead : 0;
      if (next >= done + count) {
        done += count;
        continue;
      }
      channel = static_cast<int>(strip % channels) * p.beside + beside;
      strip /= channels;
      const int width = all.strip_blocks * kBlock;
      x0 = p.own_region.column_begin +
          static_cast<int>(strip % p.strips) * width;
      x1 = min(x0 + width, p.own_region.column_end);
      image = strip / p.strips;
      sample();
#pragma unroll 1
      for (; next < done + count; next += P::kWarps) {
        run_row(next, next - done);
      }
      done += count;
    }
  }

  /// Pivots and the weights' scale from some pixels of the segment; the same in each
  /// warp.
  __device__ __forceinline__ void sample() {
    constexpr int kRows = 8;
    PivotSample seen;
    float heaviest = 0;
    const int step = max(1, (y1 - y0) / kRows), first = y0 + step / 2;
    const int apart = (x1 - x0 + 2 * kWarpSize - 1) / (2 * kWarpSize);
#pragma unroll 1
    for (int i = 0; i < 2; ++i) {
      const int x = x0 + (lane + kWarpSize * i) * apart;
      const Span inside =
          span_of<kRows>(0, x < x1 ? (y1 - first + step - 1) / step : 0);
      const auto fetch = [&](const Image& of, float(&values)[kRows]) {
        load_values(
            of.at(image, channel, first, x),
            step * of.stride[2],
            of.element,
            inside,
            values);
      };
      float a[kRows], b[kRows], w[kRows];
      fetch(p.input, a);
      fetch(p.target, b);
      if (has_weights()) {
        fetch(p.weight, w);
      }
#pragma unroll
      for (int k = 0; k < kRows; ++k) {
        const float s = (a[k] + b[k]) * p.inverse_unit;
        const float d = (a[k] - b[k]) * p.inverse_unit;
        if (inside.has(k) && isfinite(s) && isfinite(d)) {
          seen.include(s, d, p.range);
        }
        if (has_weights() && inside.has(k) && isfinite(w[k])) {
          heaviest = fmaxf(heaviest, fabsf(w[k]));
        }
      }
    }
    const auto from = [](float value, int lanes) {
      return __shfl_xor_sync(kFullWarp, value, lanes);
    };
    for (int lanes = kWarpSize / 2; lanes > 0; lanes /= 2) {
      seen.include(
          {from(seen.low_sum, lanes),
           from(seen.high_sum, lanes),
           from(seen.nearest_sum, lanes),
           from(seen.low_difference, lanes),
           from(seen.high_difference, lanes)});
      heaviest = fmaxf(heaviest, from(heaviest, lanes));
    }
    sum_pivot = seen.sum_pivot() * kScale;
    // Of 11 bits, so that d is exact where it is small.
    std::uint32_t high, low;
    split(seen.difference_pivot(p.two_c2) * kDifferenceScale, 0.0f, high, low);
    difference_pivot = joined(high, 0).x;
    // The power of two below: its exponent's bits, negated.
    const unsigned exponent = bit_cast<unsigned>(heaviest) >> 23;
    weight_scale = exponent > 0 && exponent < 254
        ? bit_cast<float>((254 - exponent) << 23)
        : 1.0f;
  }

  __device__ __forceinline__ bool has_weights() const {
    return Images::kMayHaveWeights && p.weight.data != nullptr;
  }

  __device__ __forceinline__ void wait_forward(
      int b,
      bool first,
      unsigned turn) {
    if (!first) {
      signal(above, b).template wait<12>(turn);
    }
  }

  __device__ __forceinline__ void wait_backward(
      int b,
      bool first,
      unsigned turn) {
    if (!first) {
      signal(above, columns + b).template wait<13>(turn);
    }
  }

  /// Of this row, for the row below.
  __device__ __forceinline__ void raise(int index) {
    signal(mine, index).raise();
  }

  __device__ __forceinline__ static Signal& signal(int place, int index) {
    return reinterpret_cast<Signal*>(shared_memory() + place)[index];
  }

  /// Asks for the block at `row` and this column.
  __device__ __forceinline__ void begin_block(int at_column) {
    if constexpr (Images::kInput) {
      begin_float(p.input, input_next, stage, at_column);
      input_next += kBlock * p.input.stride[3];
    } else {
      load_lane(p.input, row, at_column, input_raw);
    }
    if constexpr (Images::kTarget) {
      begin_float(p.target, target_next, stage + P::kStageBytes, at_column);
      target_next += kBlock * p.target.stride[3];
    } else {
      load_lane(p.target, row, at_column, target_raw);
    }
  }

  __device__ __forceinline__ void begin_float(
      const Image& of,
      const char* from, // the block's first pixel
      int place, // in shared memory, [kBlock rows of kStageRow bytes]
      int at_column) const {
    char* to = shared_memory() + place;
    const int row_bytes = static_cast<int>(of.stride[2]);
    const auto inside = [&](int y, int x) {
      return static_cast<unsigned>(row + y) < static_cast<unsigned>(p.height) &&
          static_cast<unsigned>(at_column + x) < static_cast<unsigned>(p.width);
    };
    if (all.wide_loads) {
      const int y = lane >> 2, x = 4 * (lane & 3);
      from += y * row_bytes + 4 * x;
      to += y * P::kStageRow + 4 * x;
#pragma unroll
      for (int i = 0; i < kBlock; i += 8) {
        begin_copy<16>(to + i * P::kStageRow, from, inside(y + i, x));
        from += 8 * row_bytes;
      }
    } else {
      const int y = lane >> 4, x = lane & 15;
      from += y * row_bytes + x * static_cast<int>(of.stride[3]);
      to += y * P::kStageRow + 4 * x;
#pragma unroll
      for (int i = 0; i < kBlock; i += 2) {
        begin_copy<4>(to + i * P::kStageRow, from, inside(y + i, x));
        from += 2 * row_bytes;
      }
    }
  }

  /// This lane's pixels of the block at (y, x), 0 outside of the image.
  __device__ __forceinline__ void load_lane(
      const Image& of,
      int y,
      int x,
      Raw<float> (&raw)[2][4]) const // [column][row]
  {
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      const int at_x = x + lane_column + k, at_y = y + lane_row;
      const bool any =
          static_cast<unsigned>(at_x) < static_cast<unsigned>(p.width);
      load(
          of.at(image, channel, at_y, at_x),
          of.stride[2],
          of.element,
          span_of<4>(-at_y, any ? p.height - at_y : 0),
          raw[k]);
    }
  }

  __device__ __forceinline__ void convert_lane(
      Element element,
      const Raw<float> (&raw)[2][4],
      LaneValues<>& values) const {
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      float converted[4];
      convert_all(element, raw[k], converted);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        values[j][k] = converted[j];
      }
    }
  }

  __device__ __forceinline__ void staged(
      int place, // in shared memory, [kBlock rows of kStageRow bytes]
      LaneValues<>& values) const {
    const char* const from = shared_memory() + place;
#pragma unroll
    for (int j = 0; j < kLaneRows; ++j) {
      const float2 pair = *reinterpret_cast<const float2*>(
          from + (lane_row + j) * P::kStageRow + 4 * lane_column);
      values[j][0] = pair.x;
      values[j][1] = pair.y;
    }
  }
  /// x and y of the block that was asked for.
  __device__ __forceinline__ void end_block(LaneValues<>& x, LaneValues<>& y) {
    end_copies();
    warp_barrier<15>();
    if constexpr (Images::kInput) {
      staged(stage, x);
    } else {
      convert_lane(p.input.element, input_raw, x);
    }
    if constexpr (Images::kTarget) {
      staged(stage + P::kStageBytes, y);
    } else {
      convert_lane(p.target.element, target_raw, y);
    }
    warp_barrier<16>(); // the next block's pixels go there
  }

  /// Weights as numbers, 1 where there are none.
  __device__ __forceinline__ void weights_of(
      const Raw<float> (&raw)[2][4],
      LaneValues<>& w) const {
    if (has_weights()) {
      convert_lane(p.weight.element, raw, w);
    } else {
#pragma unroll
      for (int j = 0; j < kLaneRows; ++j) {
        w[j][0] = w[j][1] = 1.0f;
      }
    }
  }

  /// Writes the strip's own pixels of the block at (y, x).
  __device__ __forceinline__ void store_block(
      const MutableImage& to,
      int y,
      int x,
      const LaneValues<>& values) const {
    const int at_y = y + lane_row, at_x = x + lane_column;
    char* at = to.at(image, channel, at_y, at_x);
    if (all.wide_stores) {
#pragma unroll
      for (int j = 0; j < kLaneRows; ++j) {
        if (at_y + j < y1 && at_x < x1) {
          *reinterpret_cast<float2*>(at) =
              make_float2(values[j][0], values[j][1]);
        }
        at += to.stride[2];
      }
      return;
    }
#pragma unroll
    for (int k = 0; k < kLanePairs; ++k) {
      float column_values[4];
#pragma unroll
      for (int j = 0; j < kLaneRows; ++j) {
        column_values[j] = values[j][k];
      }
      store_values(
          at + k * to.stride[3],
          to.stride[2],
          Images::kInput ? Element::kFloat32 : to.element,
          span_of<4>(0, at_x + k < x1 ? y1 - at_y : 0),
          column_values);
    }
  }
};

} // namespace fused_ssim::detail::cuda
