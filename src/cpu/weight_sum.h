#pragma once

#include "kernels.h"
#include "planes.h"

namespace fused_ssim::detail::cpu {
namespace {

/// The sum of a weight over a rectangle.
template <typename T>
double weight_sum(const View& weight, const Rectangle& rectangle) {
  const PlaneReader<T> reader(weight, rectangle.image, rectangle.channel);
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
