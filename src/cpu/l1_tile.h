#pragma once

// Tiles of problems without SSIM, element by element.

#include "kernels.h"
#include "planes.h"
#include "sum.h"

namespace fused_ssim::detail::cpu {
namespace {

/// The L1 term of one channel of a tile: its sum, its gradient, or the map.
template <typename T>
double l1_plane(const Job& job, const Tile& tile, std::int64_t channel) {
  const Problem& problem = job.problem;
  const Outputs& outputs = job.outputs;
  const PlaneReader<T> input(problem.input, tile.image, channel);
  const PlaneReader<T> target(problem.target, tile.image, channel);
  const PlaneReader<T> weight(problem.weight, tile.image, channel);
  const bool weighted = problem.weight.data != nullptr;
  const PlaneWriter<T> map(outputs.map, tile.image, channel);
  const PlaneWriter<T> grad_input(outputs.grad_input, tile.image, channel);
  const PlaneWriter<T> grad_target(outputs.grad_target, tile.image, channel);
  const bool with_map = outputs.map.data != nullptr;
  const bool with_grad_input = outputs.grad_input.data != nullptr;
  const bool with_grad_target = outputs.grad_target.data != nullptr;

  // Beyond the region the L1 gradient is 0; the map does not exist.
  const Region region = with_map ? problem.map_region : l1_region(problem);
  const Terms& terms = problem.terms;
  const Vec<T> slope(static_cast<T>(job.factors.l1));
  const Vec<T> scale(static_cast<T>(terms.l1_weight * problem.constants.unit));
  const Vec<T> constant(static_cast<T>(terms.constant));
  const Vec<T> inverse_unit(static_cast<T>(1 / problem.constants.unit));
  const Vec<T> zero(T(0));
  const bool smooth = job.smooth_l1.beta > 0;
  const SmoothL1<Vec<T>> smooth_l1 = in_vectors<T>(job.smooth_l1);
  alignas(64) T x[kPiece], y[kPiece], w[kPiece], out[kPiece], opposite[kPiece];

  double sum = 0;
  for (std::int64_t row = tile.row_begin; row < tile.row_end; ++row) {
    for (std::int64_t column = tile.column_begin; column < tile.column_end;) {
      // A piece lies inside the region or outside.
      const bool inside = region.has_row(row) && region.has_column(column);
      std::int64_t end = column + kPiece;
      for (const std::int64_t border :
           {region.column_begin, region.column_end, tile.column_end}) {
        end = border > column && border < end ? border : end;
      }
      const std::int64_t count = end - column;
      if (inside) {
        for (std::int64_t i = count; i < round_up(count, kLanes<T>); ++i) {
          x[i] = y[i] = w[i] = 0;
        }
        input.read(row, column, count, x);
        target.read(row, column, count, y);
        if (weighted) {
          weight.read(row, column, count, w);
        }
        Sum<T> part;
        for (std::int64_t i = 0; i < count; i += kLanes<T>) {
          const Vec<T> d =
              load(x + i) * inverse_unit - load(y + i) * inverse_unit;
          const auto times_weight = [&](Vec<T> v) FUSED_SSIM_INLINE_LAMBDA {
            return weighted ? weighed(v, load(w + i)) : v;
          };
          Vec<T> size = d.abs(), amplitude = slope;
          if (smooth) {
            amplitude = slope * smooth_l1.template slope<VecMath<T>>(size);
            size = smooth_l1.template value<VecMath<T>>(size);
          }
          part.add(times_weight(size));
          if (with_map) {
            times_weight(VecMath<T>::fma(scale, size, constant)).store(out + i);
          } else {
            const Vec<T> gradient = times_weight(signed_as(d, zero, amplitude));
            gradient.store(out + i);
            (zero - gradient).store(opposite + i);
          }
        }
        sum += part.total();
      } else {
        for (std::int64_t i = 0; i < count; ++i) {
          out[i] = opposite[i] = 0;
        }
      }
      if (with_map && inside) {
        map.write(
            row - region.row_begin, column - region.column_begin, count, out);
      }
      if (with_grad_input) {
        grad_input.write(row, column, count, out);
      }
      if (with_grad_target) {
        grad_target.write(row, column, count, opposite);
      }
      column = end;
    }
  }
  return sum;
}

template <typename T>
TermSums l1_tile(const Job& job, const Tile& tile) {
  TermSums sums;
  for (std::int64_t c = 0; c < tile.channels; ++c) {
    sums.l1 += l1_plane<T>(job, tile, tile.channel + c);
  }
  return sums;
}

} // namespace
} // namespace fused_ssim::detail::cpu
