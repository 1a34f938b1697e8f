#pragma once

// The vertical phase of StripKernel, a thread for each column: images in, gradient out.

#include "ssim_kernel.cuh"

namespace fused_ssim::detail::cuda {

template <typename T, int kRadius, Mode kMode, typename Images>
__device__ __forceinline__ void StripKernel<T, kRadius, kMode, Images>::
    blur_columns(int base) {
  T x[kRows], y[kRows];
  convert_all(input_type(), input_rows, x);
  convert_all(target_type(), target_rows, y);
  if constexpr (!P::kHasGradient) {
    sum_l1(base, x, y);
  }
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    const T s = (x[i] - pivot) + y[i];
    const T d = (x[i] - y[i]) - offset;
    map_row(0, i)[thread] = forward[0].push(s, p.window);
    map_row(1, i)[thread] = forward[1].push(d, p.window);
    map_row(2, i)[thread] = forward[2].push(s * s, p.window);
    map_row(3, i)[thread] = forward[3].push(d * d, p.window);
  }
}

template <typename T, int kRadius, Mode kMode, typename Images>
__device__ __forceinline__ void StripKernel<T, kRadius, kMode, Images>::sum_l1(
    int base,
    const T (&x)[kRows],
    const T (&y)[kRows]) {
  if (p.partials == nullptr) {
    return;
  }
  const int own = thread - margin;
  const Span inside = span_from(
      base,
      max(y0, p.l1_region.y0),
      min(y1, p.l1_region.y1),
      own >= 0 && own < strip_width && p.l1_region.has_column(input_column));
  T w[kRows];
  Raw<T> raw[kRows];
  load_weights(base, input_column, p.weight.stride[2], inside, raw);
  convert_weights(raw, w);
  T sum = T(0);
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    sum += inside.has(i) ? w[i] * fabs(x[i] - y[i]) : T(0);
  }
  l1_sum.add(sum);
}

template <typename T, int kRadius, Mode kMode, typename Images>
__device__ __forceinline__ void StripKernel<T, kRadius, kMode, Images>::
    store_gradient(
        int row,
        const Raw<T> (&input_again)[kRows],
        const Raw<T> (&target_again)[kRows],
        const Raw<T> (&weights)[kRows]) {
  const Span own = span_from(row, y0, y1, owns_output_column());
  const Span in_l1 = l1_span(row);
  T x[kRows], y[kRows], w[kRows];
  convert_all(input_type(), input_again, x);
  convert_all(target_type(), target_again, y);
  convert_weights(weights, w);
  T grad_x[kRows], grad_y[kRows];
  T sum = T(0);
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    T blurred[kPartials];
#pragma unroll
    for (int m = 0; m < kPartials; ++m) {
      blurred[m] = backward[m].push(map_row(m, i)[thread], p.window);
    }
    const T s = (x[i] - pivot) + y[i];
    const T d = x[i] - y[i];
    const T l1_weight = in_l1.has(i) && d != T(0) ? w[i] : T(0);
    sum = Math::fma(l1_weight, fabs(d), sum);
    const T l1_size = l1_weight * l1_scale;
    const T l1_part = d < T(0) ? -l1_size : l1_size;
    const T mean_part = Math::fma(s, blurred[1], blurred[0]);
    grad_x[i] = Math::fma(
        dssim_scale, Math::fma(d - offset, blurred[2], mean_part), l1_part);
    if constexpr (kMode == Mode::kBothGradients) {
      const T other_part = Math::fma(s, blurred[1], blurred[3]);
      grad_y[i] = Math::fma(
          dssim_scale,
          Math::fnma(d - offset, blurred[2], other_part),
          -l1_part);
    }
  }
  l1_sum.add(sum);
  store_rows(p.grad_input, row, own, grad_x);
  if constexpr (kMode == Mode::kBothGradients) {
    store_rows(p.grad_target, row, own, grad_y);
  }
}

template <typename T, int kRadius, Mode kMode, typename Images>
__device__ __forceinline__ void StripKernel<T, kRadius, kMode, Images>::
    store_rows(
        const MutableImage& to,
        int row,
        const Span& own,
        const T (&values)[kRows]) const {
  store_values(
      to.at(image, channel, row, output_column),
      to.stride[2],
      gradient_type(to),
      own,
      values);
}

} // namespace fused_ssim::detail::cuda
