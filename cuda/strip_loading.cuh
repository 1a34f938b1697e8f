#pragma once

// How StripKernel reads images and weights.

#include "ssim_kernel.cuh"

#include <cfloat>

namespace fused_ssim::detail::cuda {

template <typename T, int kRadius, Mode kMode, typename Images>
__device__ __forceinline__ void StripKernel<T, kRadius, kMode, Images>::
    load_step(int base) {
  load_rows(p.input, input_type(), input_at, base, input_column, input_rows);
  load_rows(
      p.target, target_type(), target_at, base, input_column, target_rows);
}

template <typename T, int kRadius, Mode kMode, typename Images>
__device__ __forceinline__ void StripKernel<T, kRadius, kMode, Images>::
    load_rows(
        const Image& of,
        Element type,
        const char* column_at, // row 0
        int row,
        int column,
        Raw<T> (&raw)[kRows]) const {
  const bool in_image =
      static_cast<unsigned>(column) < static_cast<unsigned>(p.width);
  const Span inside = span_from(row, 0, p.height, in_image);
  load(column_at + row * of.stride[2], of.stride[2], type, inside, raw);
}

template <typename T, int kRadius, Mode kMode, typename Images>
__device__ __forceinline__ void StripKernel<T, kRadius, kMode, Images>::
    find_pivots() {
  constexpr int kSamples = 8;
  const int step = max(1, (y1 - y0) / kSamples);
  const bool in_image =
      static_cast<unsigned>(input_column) < static_cast<unsigned>(p.width);
  const Span inside = {0, in_image ? min(kSamples, y1 - y0) : 0};
  T x[kSamples], y[kSamples];
  const auto sample =
      [&](const Image& of, Element type, const char* at, T(&values)[kSamples]) {
        Raw<T> raw[kSamples];
        load(
            at + (y0 + step / 2) * of.stride[2],
            step * of.stride[2],
            type,
            inside,
            raw);
        convert_all(type, raw, values);
      };
  sample(p.input, input_type(), input_at, x);
  sample(p.target, target_type(), target_at, y);
  Ranges ranges = {FLT_MAX, -FLT_MAX, FLT_MAX, -FLT_MAX};
#pragma unroll
  for (int i = 0; i < kSamples; ++i) {
    const float s = static_cast<float>(x[i] + y[i]);
    const float d = static_cast<float>(x[i] - y[i]);
    if (inside.has(i) && isfinite(s) && isfinite(d)) {
      const float sample = pivot_sample(s, p.data_range);
      ranges.include({sample, sample, d, d});
    }
  }
  ranges = block_ranges<6>(ranges, reinterpret_cast<Ranges*>(scratch));
  const bool any = ranges.low_s <= ranges.high_s;
  const float two_c2 = static_cast<float>(p.two_c2);
  pivot = any ? detail::pivot(ranges.low_s, ranges.high_s) : 0.0f;
  offset = any ? detail::offset(ranges.low_d, ranges.high_d, two_c2) : 0.0f;
}

template <typename T, int kRadius, Mode kMode, typename Images>
template <int kCount>
__device__ __forceinline__ void StripKernel<T, kRadius, kMode, Images>::
    load_weights(
        int row,
        int column,
        std::int64_t step_bytes,
        const Span& inside,
        Raw<T> (&raw)[kCount]) const {
  if (has_weights()) {
    load(
        p.weight.at(image, channel, row, column),
        step_bytes,
        p.weight.element,
        inside,
        raw);
  }
}

template <typename T, int kRadius, Mode kMode, typename Images>
template <int kCount>
__device__ __forceinline__ void StripKernel<T, kRadius, kMode, Images>::
    convert_weights(const Raw<T> (&raw)[kCount], T (&w)[kCount]) const {
  if (has_weights()) {
    convert_all(p.weight.element, raw, w);
  } else {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      w[i] = T(1);
    }
  }
}

} // namespace fused_ssim::detail::cuda
