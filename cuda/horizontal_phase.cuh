#pragma once

// The horizontal phase of StripKernel, a warp for each row: SSIM and its partial
// derivatives.

#include "ssim_kernel.cuh"

namespace fused_ssim::detail::cuda {

template <typename T, int kRadius, Mode kMode, typename Images>
__device__ __forceinline__ void StripKernel<T, kRadius, kMode, Images>::
    blur_row(int row) {
  // Rows that no output of this item needs are left out.
  const int halo = margin - radius;
  if (row < y0 - halo || row >= y1 + halo) {
    return;
  }
  const int quads = (P::kThreads - 2 * radius + 3) / 4;
  T sum = T(0);
#pragma unroll
  for (int round = 0; round < kRounds; ++round) {
    const int quad = round * kWarpSize + lane;
    Quad<T> partials[kPartials];
    if (quad < quads) {
      const int column = x0 - halo + 4 * quad;
      const Span inside = span_from(
          column, p.map_region.x0, p.map_region.x1, p.map_region.has_row(row));
      Raw<T> weights[4];
      load_weights(row, column, p.weight.stride[3], inside, weights);
      Quad<T> blurred[4];
#pragma unroll
      for (int m = 0; m < 4; ++m) {
        blurred[m] =
            horizontal_blur<kRadius>(map_row(m, warp) + 4 * quad, p.window);
      }
      sum += map_quad(row, column, inside, weights, blurred, partials);
    }
    if constexpr (P::kHasGradient) {
      warp_barrier<8>();
      if (quad < quads) {
#pragma unroll
        for (int m = 0; m < kPartials; ++m) {
          store_quad(map_row(m, warp) + 4 * quad, partials[m]);
        }
      }
    }
  }
  dssim_sum.add(sum);

  if constexpr (P::kHasGradient) {
    warp_barrier<9>();
    const int output_quads = (strip_width + 3) / 4;
#pragma unroll
    for (int round = 0; round < kRounds; ++round) {
      const int quad = round * kWarpSize + lane;
      Quad<T> blurred[kPartials];
      if (quad < output_quads) {
#pragma unroll
        for (int m = 0; m < kPartials; ++m) {
          blurred[m] =
              horizontal_blur<kRadius>(map_row(m, warp) + 4 * quad, p.window);
        }
      }
      warp_barrier<10>();
      if (quad < output_quads) {
#pragma unroll
        for (int m = 0; m < kPartials; ++m) {
          store_quad(map_row(m, warp) + 4 * quad, blurred[m]);
        }
      }
    }
  }
}

template <typename T, int kRadius, Mode kMode, typename Images>
__device__ __forceinline__ T StripKernel<T, kRadius, kMode, Images>::map_quad(
    int row,
    int column,
    const Span& inside,
    const Raw<T> (&weights)[4],
    const Quad<T> (&blurred)[4],
    Quad<T> (&partials)[kPartials]) const {
  const Span own = span_from(
      column,
      max(x0, p.map_region.x0),
      min(x0 + strip_width, p.map_region.x1),
      row >= y0 && row < y1 && p.map_region.has_row(row));
  T w[4];
  convert_weights(weights, w);
  T dssim[4];
  T sum = T(0);
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const SSIMPixel<T, Math> pixel(
        {blurred[0].v[j], blurred[1].v[j], blurred[2].v[j], blurred[3].v[j]},
        {pivot, p.two_c1, p.two_c2, offset});
    dssim[j] = pixel.dssim_half();
    sum += own.has(j) ? w[j] * dssim[j] : T(0);
    if constexpr (P::kHasGradient) {
      const Partials<T> d = pixel.partials();
      partials[0].v[j] = w[j] * (d.ms + d.md);
      partials[1].v[j] = w[j] * d.ss;
      partials[2].v[j] = w[j] * d.dd;
      if constexpr (kMode == Mode::kBothGradients) {
        partials[3].v[j] = w[j] * (d.ms - d.md);
      }
    }
  }
  if (P::kHasGradient && !inside.covers(4)) {
#pragma unroll
    for (int m = 0; m < kPartials; ++m) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        partials[m].v[j] = inside.has(j) ? partials[m].v[j] : T(0);
      }
    }
  }
  if constexpr (kMode == Mode::kMap) {
    store_map(row, column, dssim, w, own);
  }
  return sum;
}

template <typename T, int kRadius, Mode kMode, typename Images>
__device__ __forceinline__ void StripKernel<T, kRadius, kMode, Images>::
    store_map(
        int row,
        int column,
        const T (&dssim)[4],
        const T (&w)[4],
        const Span& own) const {
  T values[4];
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    values[j] = Math::fma(p.dssim * kValueScale, dssim[j], p.offset);
  }
  if (p.l1 != T(0)) {
    T x[4], y[4];
    const auto fetch = [&](const Image& of, T(&pixels)[4]) {
      load_values(
          of.at(image, channel, row, column),
          of.stride[3],
          of.element,
          own,
          pixels);
    };
    fetch(p.input, x);
    fetch(p.target, y);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      values[j] = Math::fma(p.l1, fabs(x[j] - y[j]), values[j]);
    }
  }
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    values[j] *= w[j];
  }
  store_values(
      p.map.at(image, channel, row - p.map_region.y0, column - p.map_region.x0),
      p.map.stride[3],
      p.map.element,
      own,
      values);
}

} // namespace fused_ssim::detail::cuda
