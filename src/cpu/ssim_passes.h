#pragma once

// The vertical passes of a block: SSIM and its derivatives, and the gradient. See
// NOTE [ Rolling blocks ] in ssim_tile.h.

#include "ssim_tile.h"

namespace fused_ssim::detail::cpu {
namespace {

template <typename T, int kRadius, Gradient kGradient>
void SSIMTile<T, kRadius, kGradient>::forward(std::int64_t first_row) {
  // Bit t: row first_row + t.
  unsigned in_map = 0, own = 0;
  for (int t = 0; t < kBlockRows; ++t) {
    const std::int64_t row = first_row + t;
    const bool is_own = row >= tile_.row_begin && row < tile_.row_end;
    in_map |= static_cast<unsigned>(map_region_.has_row(row)) << t;
    own |= static_cast<unsigned>(map_region_.has_row(row) && is_own) << t;
  }
  const std::int64_t next = first_row + radius_ + kBlockRows;
  const RowPrefetch<false> next_input(
      problem_.input, tile_, next, problem_.height, column_begin_, V);
  const RowPrefetch<false> next_target(
      problem_.target, tile_, next, problem_.height, column_begin_, V);
  const RowPrefetch<true> output(
      job_.outputs.grad_input,
      tile_,
      first_row - radius_,
      problem_.height,
      column_begin_,
      V);

  // Stores of vectors may alias anything: what the loop uses is copied out of
  // *this, or it would be loaded again after each.
  const bool weighted = weighted_, mapped = mapped_;
  const SSIMConstants<Vec<T>> constants = constants_;
  const auto sum_diff = sum_diff_;
  const auto weights = weights_;
  const Vec<T> zero(T(0));
  const Terms& terms = problem_.terms;
  const Vec<T> l1_weight(
      static_cast<T>(terms.l1_weight * problem_.constants.unit));
  const Vec<T> dssim_weight(static_cast<T>(kValueScale * terms.dssim_weight));
  const Vec<T> constant(static_cast<T>(terms.constant));
  Sum<T> total = dssim_sum_;

  for (std::int64_t i = 0; i < lanes_.positions; ++i) {
    Vec<T> means[4][kBlockRows];
    FUSED_SSIM_UNROLL
    for (int q = 0; q < 4; ++q) {
      blurred_.blur(i, q, taps_, means[q]);
    }
    const Vec<T> map_mask = load(map_mask_ + i * V);
    Vec<T> sum(zero);
    FUSED_SSIM_UNROLL
    for (int c = 0; c < kBlockChunks; ++c) {
      T* to = kBackward ? partials_[c].at(i, 0) : nullptr;
      FUSED_SSIM_NO_UNROLL
      for (int t = c * kChunkRows; t < (c + 1) * kChunkRows; ++t) {
        next_input.touch(t, i);
        next_target.touch(t, i);
        if constexpr (kBackward) {
          output.touch(t, i);
        }
        const SSIMPixel<Vec<T>, VecMath<T>> pixel(
            {means[0][t], means[1][t], means[2][t], means[3][t]}, constants);
        Vec<T> half = pixel.dssim_half();
        if (mapped) {
          const Vec<T> d = load(sum_diff.at(i, radius_ + t) + V) +
              constants.difference_pivot;
          const Vec<T> value = VecMath<T>::fma(dssim_weight, half, constant);
          // Without an L1 term an infinite difference must not meet its zero.
          const Vec<T> both = terms.l1_weight == 0
              ? value
              : VecMath<T>::fma(l1_weight, d.abs(), value);
          (weighted ? both * load(weights.at(i, radius_ + t)) : both)
              .store(out_.at(i, t));
        }
        Partials<Vec<T>> p;
        if constexpr (kBackward) {
          p = pixel.partials();
        }
        if (weighted) {
          const Vec<T> w = load(weights.at(i, radius_ + t));
          half = half * w;
          p = {p.ms * w, p.md * w, p.ss * w, p.dd * w};
        }
        if (own >> t & 1) {
          sum = sum + half;
        }
        if constexpr (kBackward) {
          const Vec<T> mask = in_map >> t & 1 ? map_mask : zero;
          if constexpr (kGradient == Gradient::kBoth) {
            (p.ms & mask).store(to);
            (p.md & mask).store(to + V);
          } else {
            ((p.ms + p.md) & mask).store(to);
          }
          (p.ss & mask).store(to + (kPartials - 2) * V);
          (p.dd & mask).store(to + (kPartials - 1) * V);
          to += kPartials * V;
        }
      }
    }
    total.add(sum & load(own_map_mask_ + i * V));
  }
  dssim_sum_ = total;

  if (mapped_) {
    for (int t = 0; t < kBlockRows; ++t) {
      if (own >> t & 1) {
        write_row(
            map_,
            out_,
            t,
            first_row + t,
            std::max(tile_.column_begin, map_region_.column_begin),
            std::min(tile_.column_end, map_region_.column_end),
            map_region_.row_begin);
      }
    }
  }
}

template <typename T, int kRadius, Gradient kGradient>
void SSIMTile<T, kRadius, kGradient>::blur_partials() {
  // m + s ss + d dd is the same number whatever p and q are: m takes up what s and d
  // lose.
  constexpr int kSS = kPartials - 2, kDD = kPartials - 1;
  constexpr int kMD = kGradient == Gradient::kBoth ? 1 : 0;
  const auto adjust = [&](Side side, Vec<T>* p) FUSED_SSIM_INLINE_LAMBDA {
    p[0] = VecMath<T>::fnma(p[kSS], shift(pivots_.sum, side), p[0]);
    p[kMD] = VecMath<T>::fnma(p[kDD], shift(pivots_.difference, side), p[kMD]);
  };
  for (const Chunk<T, kPartials>& chunk : partials_) {
    fill_halo(chunk, lanes_, adjust);
    blur_rows<T, kRadius>(
        chunk, blurred_partials_.advance(), 0, 0, lanes_, taps_);
  }
}

template <typename T, int kRadius, Gradient kGradient>
void SSIMTile<T, kRadius, kGradient>::backward(std::int64_t first_row) {
  unsigned own_l1 = 0;
  for (int t = 0; t < kBlockRows; ++t) {
    own_l1 |= static_cast<unsigned>(l1_region_.has_row(first_row + t)) << t;
  }
  const bool weighted = weighted_;
  const auto sum_diff_ring = sum_diff_;
  const auto weights = weights_;
  const auto out = out_, out_target = out_target_;
  const Vec<T> zero(T(0));
  const Vec<T> amplitude(static_cast<T>(job_.factors.l1));
  const Vec<T> same = own(pivots_.difference).neg(); // d where x = y
  for (std::int64_t i = 0; i < lanes_.positions; ++i) {
    Vec<T> g[kPartials][kBlockRows];
    FUSED_SSIM_UNROLL
    for (int q = 0; q < kPartials; ++q) {
      blurred_partials_.blur(i, q, gradient_taps_, g[q]);
    }
    const Vec<T> slope = amplitude & load(own_l1_mask_ + i * V);
    FUSED_SSIM_NO_UNROLL
    for (int t = 0; t < kBlockRows; ++t) {
      const T* sum_diff = sum_diff_ring.at(i, t);
      const Vec<T> s = load(sum_diff), d = load(sum_diff + V);
      Vec<T> l1 = signed_as(d, same, own_l1 >> t & 1 ? slope : zero);
      if (weighted) {
        l1 = l1 * load(weights.at(i, t));
      }
      if constexpr (kGradient == Gradient::kBoth) {
        const Vec<T> even = VecMath<T>::fma(s, g[2][t], g[0][t]);
        const Vec<T> odd = VecMath<T>::fma(d, g[3][t], g[1][t]) + l1;
        (even + odd).store(out.at(i, t));
        (even - odd).store(out_target.at(i, t));
      } else {
        VecMath<T>::fma(s, g[1][t], VecMath<T>::fma(d, g[2][t], g[0][t] + l1))
            .store(out.at(i, t));
      }
    }
  }
  for (int t = 0; t < kBlockRows; ++t) {
    const std::int64_t row = first_row + t;
    if (row < tile_.row_begin || row >= tile_.row_end) {
      continue;
    }
    const std::int64_t begin = tile_.column_begin, end = tile_.column_end;
    write_row(grad_input_, out_, t, row, begin, end, 0);
    if constexpr (kGradient == Gradient::kBoth) {
      write_row(grad_target_, out_target_, t, row, begin, end, 0);
    }
  }
}

} // namespace
} // namespace fused_ssim::detail::cpu
