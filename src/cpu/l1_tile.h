#pragma once

// Tiles of problems without SSIM, and sums of weights: element by element.

#include "kernels.h"
#include "rows.h"

namespace fused_ssim::detail::cpu {
namespace {

/// The L1 term of a tile: its sum, its gradient, or the map.
template <typename T>
TermSums l1_tile(const Job& job, const Tile& tile) {
  const Problem& problem = job.problem;
  const Outputs& outputs = job.outputs;
  const Reader<T> input(problem.input, tile.image, tile.channel);
  const Reader<T> target(problem.target, tile.image, tile.channel);
  const Reader<T> weight(problem.weight, tile.image, tile.channel);
  const bool weighted = problem.weight.data != nullptr;
  const Writer<T> map(outputs.map, tile.image, tile.channel);
  const Writer<T> grad_input(outputs.grad_input, tile.image, tile.channel);
  const Writer<T> grad_target(outputs.grad_target, tile.image, tile.channel);
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
  const Vec<T> one(T(1)), zero(T(0));
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
          const Vec<T> weights = weighted ? load(w + i) : one;
          part.add(d.abs() * weights);
          if (with_map) {
            (weights * VecMath<T>::fma(scale, d.abs(), constant))
                .store(out + i);
          } else {
            const Vec<T> gradient = signed_as(d, zero, slope) * weights;
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
  TermSums sums;
  sums.l1 = sum;
  return sums;
}

template <typename T>
double sum_of(const View& view, const Rectangle& rectangle) {
  const Reader<T> reader(view, rectangle.image, rectangle.channel);
  T piece[kPiece];
  double sum = 0;
  for (std::int64_t row = 0; row < rectangle.rows; ++row) {
    for (std::int64_t i = 0; i < rectangle.columns; i += kPiece) {
      const std::int64_t left = rectangle.columns - i;
      const int n = static_cast<int>(left < kPiece ? left : kPiece);
      reader.read(rectangle.row + row, rectangle.column + i, n, piece);
      for (int k = n; k < round_up(n, 16); ++k) {
        piece[k] = 0;
      }
      double lanes[16] = {};
      for (int k = 0; k < n; k += 16) {
        for (int j = 0; j < 16; ++j) {
          lanes[j] += piece[k + j];
        }
      }
      for (const double lane : lanes) {
        sum += lane;
      }
    }
  }
  return sum;
}

} // namespace
} // namespace fused_ssim::detail::cpu
