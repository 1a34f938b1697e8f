#pragma once

#include "halo.h"
#include "planes.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fused_ssim::detail::cpu {
namespace {

// NOTE [ Pivots ]
//
// p and q of NOTE [ Sum and difference ] are near the pixels they serve: each segment
// of a row (NOTE [ Lane-strided rows ]) has its own, and has new ones every kPivotRows
// rows. So a value changes when it passes from one segment to another (in the halo), and
// all rows that are kept change when the pivots move (SSIMReader::move_pivots()). With
// p' = p + dp and q' = q + dq,
//
//   s' = s - dp                     blur(s)' = blur(s) - dp
//   blur(s^2)' = blur(s^2) - dp (blur(s) + blur(s)')
//
// and the same for d and dq. m + s ss + d dd, the gradient, is the same number whatever
// p and q are: m takes up what s and d lose, m' = m + ss dp + dd dq.

/// Rows from one choice of pivots to the next, a multiple of kBlockRows.
constexpr int kPivotRows = 32;

/// p and q of each segment of a tile's rows. Lane j has index j + 1, what is outside of
/// the segments has 0.
template <typename T>
struct Pivots {
  T sum[kLanes<T> + 2] = {}, difference[kLanes<T> + 2] = {};
};

/// Of the segments themselves.
template <typename T>
FUSED_SSIM_INLINE Vec<T> own_pivots(const T* pivots) {
  return load(pivots + 1);
}

/// What a value of the neighbour segment lacks to be this segment's.
template <typename T>
FUSED_SSIM_INLINE Vec<T> shift(const T* pivots, Side side) {
  return load(pivots + (side == Side::kLeft ? 0 : 2)) - own_pivots(pivots);
}

/// d = x - y - q keeps the sign of x - y, which the gradient of |x - y| depends on: x - y
/// of less than half an ulp of q would be lost against it.
template <typename T>
class DifferenceShift {
 public:
  explicit DifferenceShift(Vec<T> q) : same_(q.neg()) {
    // An ulp of q, or two.
    const Vec<T> step = at::vec::maximum(
        q.abs() * Vec<T>(2 * std::numeric_limits<T>::epsilon()),
        Vec<T>(std::numeric_limits<T>::min()));
    above_ = same_ + step;
    below_ = same_ - step;
  }

  /// x - y - q, from x - y.
  FUSED_SSIM_INLINE Vec<T> from_difference(Vec<T> difference) const {
    const Vec<T> zero(T(0));
    const Vec<T> d = difference + same_;
    const Vec<T> lost = d == same_;
    return Vec<T>::blendv(
        Vec<T>::blendv(d, above_, lost & (difference > zero)),
        below_,
        lost & (difference < zero));
  }

  /// The same, from x - y less another q, where `old_same` is minus that one.
  FUSED_SSIM_INLINE Vec<T> from_old(Vec<T> old, Vec<T> old_same) const {
    Vec<T> d = old + (same_ - old_same);
    d = Vec<T>::blendv(d, same_, old == old_same);
    d = Vec<T>::blendv(d, above_, (old > old_same) & (d <= same_));
    return Vec<T>::blendv(d, below_, (old < old_same) & (d >= same_));
  }

 private:
  Vec<T> same_, above_, below_; // d where x = y, and numbers next to it
};

/// What a few rows of one channel tell about the pivots of its segments.
template <typename T>
class PivotFinder {
 public:
  explicit PivotFinder(const Constants& constants)
      : inverse_unit_(static_cast<T>(1 / constants.unit)),
        range_(static_cast<float>(constants.range)),
        two_c2_(static_cast<float>(2 * constants.c2)) {}

  void include(
      const T* x, // [columns]
      const T* y, // [columns]
      std::int64_t columns,
      const LaneLayout<T>& lanes) {
    for (int j = 0; j < V; ++j) {
      const std::int64_t begin = j * lanes.positions;
      const std::int64_t left = columns - begin;
      const std::int64_t size = left < lanes.positions ? left : lanes.positions;
      if (size >= V) {
        include_near(x + begin, y + begin, size, samples_[j]);
      }
      // Pixels far outside of the range, and the few of a narrow segment.
      if (samples_[j].low_sum > samples_[j].high_sum) {
        include_any(x + begin, y + begin, size, samples_[j]);
      }
    }
  }

  /// Changes the pivots that have moved. False if none has.
  bool update(Pivots<T>& pivots) const {
    bool moved = false;
    for (int j = 0; j < V; ++j) {
      const PivotSample& sample = samples_[j];
      const T p = sample.sum_pivot();
      const T q = sample.difference_pivot(two_c2_);
      if (gains(
              std::abs(p - pivots.sum[j + 1]),
              sample.low_sum,
              sample.high_sum,
              range_) ||
          gains(
              std::abs(q - pivots.difference[j + 1]),
              sample.low_difference,
              sample.high_difference,
              std::abs(q) / 8)) {
        pivots.sum[j + 1] = p;
        pivots.difference[j + 1] = q;
        moved = true;
      }
    }
    return moved;
  }

 private:
  static constexpr int V = kLanes<T>;

  /// Whether a pivot is so far from the middle of its pixels that another gains digits.
  /// The error grows with the square of the largest |s|, and matters above 1 / 4 of it.
  static bool gains(T distance, T low, T high, T scale) {
    const T half = low <= high ? (high - low) / 2 : 0;
    return distance > std::max(half, scale / 4) / 8;
  }

  /// The range of the pixels near the data range.
  FUSED_SSIM_INLINE void include_near(
      const T* x, // [size]
      const T* y, // [size]
      std::int64_t size, // >= V
      PivotSample& sample) const {
    const Vec<T> inverse_unit(inverse_unit_), limit(T(4) * range_);
    const Vec<T> none(static_cast<T>(PivotSample::kNone));
    Vec<T> low_sum = none, high_sum = none.neg();
    Vec<T> low_difference = none, high_difference = none.neg();
    for (std::int64_t i = 0; i < size; i += V) {
      const std::int64_t at = i < size - V ? i : size - V;
      const Vec<T> a = load(x + at) * inverse_unit;
      const Vec<T> b = load(y + at) * inverse_unit;
      const Vec<T> s = a + b, d = a - b;
      const Vec<T> near = s.abs() <= limit; // not a NaN
      const auto widen = [&](Vec<T>& low,
                             Vec<T>& high,
                             Vec<T> v) FUSED_SSIM_INLINE_LAMBDA {
        low = at::vec::clamp_max(Vec<T>::blendv(none, v, near), low);
        high = at::vec::clamp_min(Vec<T>::blendv(none.neg(), v, near), high);
      };
      widen(low_sum, high_sum, s);
      widen(low_difference, high_difference, d);
    }
    T lanes[4][V];
    low_sum.store(lanes[0]);
    high_sum.store(lanes[1]);
    low_difference.store(lanes[2]);
    high_difference.store(lanes[3]);
    for (int j = 0; j < V; ++j) {
      sample.low_sum =
          std::min(sample.low_sum, static_cast<float>(lanes[0][j]));
      sample.high_sum =
          std::max(sample.high_sum, static_cast<float>(lanes[1][j]));
      sample.low_difference =
          std::min(sample.low_difference, static_cast<float>(lanes[2][j]));
      sample.high_difference =
          std::max(sample.high_difference, static_cast<float>(lanes[3][j]));
    }
  }

  /// A few pixels, wherever they lie. Those that are not finite are left out: they may
  /// spoil the windows that contain them, but no others.
  FUSED_SSIM_NO_INLINE void include_any(
      const T* x, // [size]
      const T* y, // [size]
      std::int64_t size,
      PivotSample& sample) const {
    constexpr int kSamples = 16;
    for (int k = 0; k < kSamples && size > 0; ++k) {
      const std::int64_t column = size * (2 * k + 1) / (2 * kSamples);
      const T a = x[column] * inverse_unit_, b = y[column] * inverse_unit_;
      const float s = static_cast<float>(a + b);
      const float d = static_cast<float>(a - b);
      if (std::isfinite(s) && std::isfinite(d)) {
        sample.include(s, d, range_);
      }
    }
  }

  T inverse_unit_;
  float range_, two_c2_;
  PivotSample samples_[V];
};

} // namespace
} // namespace fused_ssim::detail::cpu
