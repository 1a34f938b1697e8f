#pragma once

// What the value kernel and the gradient kernel share: a block's way through the
// images, the pivots, the weights.
//
// A strip is a column of the images, strip_width pixels wide. The strips of all
// channels of all images are laid end to end, and each block takes an equal length
// of that: it marches down the end of one strip, down some whole ones perhaps, and
// down the beginning of another. What it marches down at once, rows y0 .. y1 - 1 of
// one strip, is a segment.

#include "blur.cuh"
#include "device.cuh"
#include "elements.cuh"
#include "images.h"
#include "params.h"
#include "policy.h"
#include "reduce.cuh"

#include "ssim_math.h"

#include <cfloat>

namespace fused_ssim::detail::cuda {

template <typename T, int kRadius, Mode kMode, typename Images>
class Strip {
 public:
  using P = Policy<T, kMode>;
  using Math = DeviceMath<T>;

 protected:
  static constexpr int kRows = P::kRows;
  static constexpr int kScratchBytes = kRows * sizeof(Sums);

  const SSIMParams<T>& p;
  const int radius;
  const int strip_width; // columns
  const int thread, warp, lane;
  Sums* const scratch; // [warps]
  T* const maps; // [4, kRows, the kernel's pitch]

  CompensatedSum<T> dssim_sum, l1_sum;
  T pivot, offset; // p and q

  // The segment.
  std::int64_t image;
  int channel;
  int x0, y0, y1; // first column, first row, row behind the last

  __device__ __forceinline__ Strip(const SSIMParams<T>& params)
      : p(params),
        radius(radius_of<kRadius>(params.window)),
        strip_width(P::strip_width(radius)),
        thread(threadIdx.x),
        warp(threadIdx.x / kWarpSize),
        lane(threadIdx.x % kWarpSize),
        scratch(reinterpret_cast<Sums*>(shared_memory())),
        maps(reinterpret_cast<T*>(shared_memory() + kScratchBytes)) {}

  /// Calls `run` for each of this block's segments.
  template <typename Run>
  __device__ __forceinline__ void for_each_segment(const Run& run) {
    const std::int64_t length =
        p.batch * p.channels * p.strips * p.strip_length;
    const std::int64_t end = length * (blockIdx.x + 1) / gridDim.x;
    std::int64_t at = length * blockIdx.x / gridDim.x;
    while (at < end) {
      std::int64_t strip = at / p.strip_length;
      const int from = static_cast<int>(at - strip * p.strip_length);
      const int to = static_cast<int>(
          min(end - strip * p.strip_length, std::int64_t(p.strip_length)));
      at += to - from;

      channel = static_cast<int>(strip % p.channels);
      strip /= p.channels;
      x0 = static_cast<int>(strip % p.strips) * strip_width;
      image = strip / p.strips;
      // A strip is longer than its rows by what it costs to begin one.
      const int lead = p.strip_length - p.height;
      y0 = max(from - lead, 0);
      y1 = to - lead;
      if (y0 < y1) {
        run();
      }
    }
  }

  __device__ __forceinline__ void store_sums() {
    if (p.partials != nullptr) {
      const Sums sums = {dssim_sum.value() * kValueScale, l1_sum.value()};
      const Sums total = block_sum<0>(sums, scratch);
      if (thread == 0) {
        p.partials[blockIdx.x] = total;
      }
    }
  }

  __device__ __forceinline__ Element input_type() const {
    return Images::input(p.input.element);
  }

  __device__ __forceinline__ Element target_type() const {
    return Images::target(p.target.element);
  }

  __device__ __forceinline__ Element
  gradient_type(const MutableImage& of) const {
    return Images::gradient(of.element);
  }

  __device__ __forceinline__ bool has_weights() const {
    return Images::kMayHaveWeights && p.weight.data != nullptr;
  }

  /// p and q from the finite pixels of some rows of the segment, in this column.
  __device__ __forceinline__ void find_pivots(int column) {
    constexpr int kSamples = 8;
    const int step = max(1, (y1 - y0) / kSamples);
    const bool in_image =
        static_cast<unsigned>(column) < static_cast<unsigned>(p.width);
    const Span inside = span_of<kSamples>(0, in_image ? y1 - y0 : 0);
    T x[kSamples], y[kSamples];
    const auto sample =
        [&](const Image& of, Element type, T(&values)[kSamples]) {
          load_values(
              of.at(image, channel, y0 + step / 2, column),
              step * of.stride[2],
              type,
              inside,
              values);
        };
    sample(p.input, input_type(), x);
    sample(p.target, target_type(), y);
    Ranges ranges = {FLT_MAX, -FLT_MAX, FLT_MAX, -FLT_MAX};
#pragma unroll
    for (int i = 0; i < kSamples; ++i) {
      const float s = static_cast<float>(x[i] + y[i]);
      const float d = static_cast<float>(x[i] - y[i]);
      if (inside.has(i) && isfinite(s) && isfinite(d)) {
        const float clamped = pivot_sample(s, p.data_range);
        ranges.include({clamped, clamped, d, d});
      }
    }
    ranges = block_ranges<6>(ranges, reinterpret_cast<Ranges*>(scratch));
    const bool any = ranges.low_s <= ranges.high_s;
    const float two_c2 = static_cast<float>(p.two_c2);
    pivot = any ? detail::pivot(ranges.low_s, ranges.high_s) : 0.0f;
    offset = any ? detail::offset(ranges.low_d, ranges.high_d, two_c2) : 0.0f;
  }

  /// Weights from (row, column) on, 0 outside of the span.
  template <int kDense = 0, int kCount>
  __device__ __forceinline__ void load_weights(
      int row,
      int column,
      std::int64_t step_bytes,
      const Span& inside,
      Raw<T> (&raw)[kCount]) const {
    if (has_weights()) {
      load<kDense>(
          p.weight.at(image, channel, row, column),
          step_bytes,
          p.weight.element,
          inside,
          raw);
    }
  }

  /// Weights as numbers, 1 where there are none.
  template <int kCount>
  __device__ __forceinline__ void convert_weights(
      const Raw<T> (&raw)[kCount],
      T (&w)[kCount]) const {
    if (has_weights()) {
      convert_all(p.weight.element, raw, w);
    } else {
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        w[i] = T(1);
      }
    }
  }
};

} // namespace fused_ssim::detail::cuda
