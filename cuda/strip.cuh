#pragma once

// What the value kernel and the gradient kernel share: a block's way through the
// images, the pivots, the weights.
//
// A strip is a column of the images, strip_width pixels wide: as many as the threads
// serve, or fewer, so that all are of about the same width. The strips of all
// channels of all images are laid end to end, and each block takes an equal length
// of that: it marches down the end of one strip, down some whole ones perhaps, and
// down the beginning of another. What it marches down at once, rows y0 .. y1 - 1 of
// one strip, is a segment. Where sums are wanted for each image and channel, a block
// takes its part of the strips of one.
//
// Neighbouring blocks take the channels of one strip, row by row at the same time. They
// share the weights, and of interleaved images (channels last) every sector of memory.

#include "blur.cuh"
#include "device.cuh"
#include "elements.cuh"
#include "images.h"
#include "params.h"
#include "policy.h"
#include "reduce.cuh"

#include "ssim_math.h"

namespace fused_ssim::detail::cuda {

template <typename T, int kRadius, Mode kMode, typename Images>
class Strip {
 public:
  using P = Policy<T, kMode>;
  using Math = DeviceMath<T>;

 protected:
  static constexpr int kRows = P::kRows;
  /// Of block-wide sums, or of PivotSample, which is larger.
  static constexpr int kScratchBytes = kRows * 2 * sizeof(TermSums);
  static_assert(sizeof(PivotSample) <= 2 * sizeof(TermSums), "");

  const SSIMParams<T>& p;
  const int radius;
  const int thread, warp, lane;
  TermSums* const scratch; // [warps]
  T* const maps; // [4, kRows, the kernel's pitch]

  CompensatedSum<T> dssim_sum, l1_sum;
  T sum_pivot, difference_pivot;

  // The segment.
  std::int64_t image;
  int channel;
  int x0, y0, y1; // first column, first row, row behind the last
  int own_columns; // of the strip's, those in own_region

  __device__ __forceinline__ Strip(const SSIMParams<T>& params)
      : p(params),
        radius(radius_of<kRadius>(params.window)),
        thread(threadIdx.x),
        warp(threadIdx.x / kWarpSize),
        lane(threadIdx.x % kWarpSize),
        scratch(reinterpret_cast<TermSums*>(shared_memory())),
        maps(reinterpret_cast<T*>(shared_memory() + kScratchBytes)) {}

  /// Calls `run` for each of this block's segments.
  template <typename Run>
  __device__ __forceinline__ void for_each_segment(const Run& run) {
    let_next_launch_begin();
    const bool by_plane = p.plane_blocks > 0;
    const std::int64_t plane = by_plane ? blockIdx.x / p.plane_blocks : 0;
    // Blocks side by side take the channels of the same pixels; p.beside is 1 by plane.
    const int beside = static_cast<int>(blockIdx.x) % p.beside;
    const std::int64_t block =
        by_plane ? blockIdx.x % p.plane_blocks : blockIdx.x / p.beside;
    const std::int64_t blocks =
        by_plane ? p.plane_blocks : gridDim.x / p.beside;
    const int channels = p.channels / p.beside;
    const std::int64_t length =
        (by_plane ? 1 : p.batch * channels) * p.strips * p.strip_length;
    const std::int64_t end = length * (block + 1) / blocks;
    std::int64_t at = length * block / blocks;
    while (at < end) {
      std::int64_t strip = at / p.strip_length;
      const int from = static_cast<int>(at - strip * p.strip_length);
      const int to = static_cast<int>(
          min(end - strip * p.strip_length, std::int64_t(p.strip_length)));
      at += to - from;

      if (by_plane) {
        strip = (plane / p.channels * p.strips + strip) * p.channels +
            plane % p.channels;
      }
      channel = static_cast<int>(strip % channels) * p.beside + beside;
      strip /= channels;
      x0 = p.own_region.column_begin +
          static_cast<int>(strip % p.strips) * p.strip_width;
      image = strip / p.strips;
      own_columns = min(p.strip_width, p.own_region.column_end - x0);
      // A strip is longer than its rows by what it costs to begin one.
      const int begin = p.own_region.row_begin;
      const int lead = p.strip_length - p.own_region.rows();
      y0 = begin + max(from - lead, 0);
      y1 = begin + to - lead;
      if (y0 < y1) {
        run();
      }
    }
  }

  __device__ __forceinline__ void store_sums() {
    wait_for_last_launch(); // the kernels that follow read what that wrote
    if (p.partials != nullptr || p.plane_sums != nullptr) {
      const TermSums sums = {dssim_sum.value() * kValueScale, l1_sum.value()};
      const TermSums total = block_sum<0>(sums, scratch);
      if (thread == 0 && p.plane_sums != nullptr) {
        p.plane_sums[blockIdx.x] = total.dssim;
      } else if (thread == 0) {
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
    return Images::kMayHaveWeights &&
        (Images::kKnown || p.weight.data != nullptr);
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
    PivotSample seen;
#pragma unroll
    for (int i = 0; i < kSamples; ++i) {
      const T a = x[i] * p.inverse_unit, b = y[i] * p.inverse_unit;
      const float s = static_cast<float>(a + b);
      const float d = static_cast<float>(a - b);
      if (inside.has(i) && isfinite(s) && isfinite(d)) {
        seen.include(s, d, p.range);
      }
    }
    seen = block_sample<6>(seen, reinterpret_cast<PivotSample*>(scratch));
    sum_pivot = seen.sum_pivot();
    difference_pivot = seen.difference_pivot(static_cast<float>(p.two_c2));
  }

  /// Weights from (row, column) on, 0 outside of the span.
  template <int kDense = 0, int kCount>
  __device__ __forceinline__ void load_weights(
      int row,
      int column,
      std::int64_t step_bytes,
      const Span& inside,
      Raw<T> (&raw)[kCount]) const {
    if (!has_weights()) {
      return;
    }
    const char* const at = p.weight.at(image, channel, row, column);
    if constexpr (!Images::kKnown) {
      load<kDense>(at, step_bytes, p.weight.element, inside, raw);
    } else if (p.weight.element == Element::kFloat32) {
      load_as<std::uint32_t, kDense>(at, step_bytes, inside, raw);
    } else {
      load_as<std::uint8_t, kDense>(at, step_bytes, inside, raw);
    }
  }

  /// Weights as numbers, 1 where there are none.
  template <int kCount>
  __device__ __forceinline__ void convert_weights(
      const Raw<T> (&raw)[kCount],
      T (&w)[kCount]) const {
    if (!has_weights()) {
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        w[i] = T(1);
      }
    } else if constexpr (!Images::kKnown) {
      convert_all(p.weight.element, raw, w);
    } else {
      const bool numbers = p.weight.element == Element::kFloat32;
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        w[i] = numbers ? bit_cast<T>(raw[i]) : static_cast<T>(raw[i] != 0);
      }
    }
  }
};

} // namespace fused_ssim::detail::cuda
