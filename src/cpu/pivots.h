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
  T difference_step[kLanes<T> + 2] = {}; // DifferenceShift
};

/// The pivots of the segments themselves.
template <typename T>
FUSED_SSIM_INLINE Vec<T> own_pivots(const T* pivots) {
  return load(pivots + 1);
}

/// The difference between the pivots of the neighbour segment and of this one.
template <typename T>
FUSED_SSIM_INLINE Vec<T> shift(const T* pivots, Side side) {
  return load(pivots + (side == Side::kLeft ? 0 : 2)) - own_pivots(pivots);
}

/// d = x - y - q keeps the sign of x - y, which the gradient of |x - y| depends on: x - y
/// of less than half an ulp of q would be lost against it.
template <typename T>
class DifferenceShift {
 public:
  DifferenceShift(Vec<T> q, Vec<T> step)
      : same_(q.neg()),
        above_(same_ + step),
        below_(same_ - step) {}

  /// An ulp of q, or two.
  static T step_of(T q) {
    return std::max(
        std::abs(q) * 2 * std::numeric_limits<T>::epsilon(),
        std::numeric_limits<T>::min());
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

/// Finds the pivots of a channel's segments from a few of its rows.
template <typename T>
class PivotFinder {
 public:
  explicit PivotFinder(const Constants& constants)
      : inverse_unit_(static_cast<T>(1 / constants.unit)),
        range_(static_cast<float>(constants.range)),
        two_c2_(static_cast<float>(2 * constants.c2)) {}

  void begin() {
    for (int j = 0; j < V; ++j) {
      samples_[j] = PivotSample();
      ranges_[j] = {none(), none().neg(), none(), none().neg()};
    }
  }

  /// The pixels of a row that lie near the data range. Those of a segment that is narrower
  /// than a vector come with neighbours.
  void include(
      const T* x, // [columns]
      const T* y, // [columns]
      std::int64_t columns,
      const LaneLayout<T>& lanes) {
    for_each_segment(
        columns, lanes, [&](int j, std::int64_t begin, std::int64_t size) {
          if (columns >= V) {
            const auto first = std::min(begin, columns - V);
            include_near(x + first, y + first, std::max(size, V), ranges_[j]);
          }
        });
  }

  /// After all rows. Whether all segments have pixels near the data range.
  bool finish(std::int64_t columns, const LaneLayout<T>& lanes) {
    bool all = true;
    for_each_segment(
        columns, lanes, [&](int j, std::int64_t /*begin*/, std::int64_t) {
          PivotSample& sample = samples_[j];
          const Range& range = ranges_[j];
          sample.low_sum = lowest(range.low_sum);
          sample.high_sum = -lowest(range.high_sum.neg());
          sample.low_difference = lowest(range.low_difference);
          sample.high_difference = -lowest(range.high_difference.neg());
          is_empty_[j] = sample.low_sum > sample.high_sum;
          all = all && !is_empty_[j];
        });
    return all;
  }

  /// A few pixels of a row in the segments that have none: pixels far outside of the range,
  /// and those of a narrow image.
  void include_others(
      const T* x, // [columns]
      const T* y, // [columns]
      std::int64_t columns,
      const LaneLayout<T>& lanes) {
    for_each_segment(
        columns, lanes, [&](int j, std::int64_t begin, std::int64_t size) {
          if (is_empty_[j]) {
            include_any(x + begin, y + begin, size, samples_[j]);
          }
        });
  }

  /// Changes the pivots that have moved, or, if they are the first ones, all. False if none
  /// has changed.
  bool update(Pivots<T>& pivots, bool first) const {
    bool moved = false;
    for (int j = 0; j < V; ++j) {
      const PivotSample& sample = samples_[j];
      const T p = sample.sum_pivot();
      const T q = sample.difference_pivot(two_c2_);
      const T sums = half(sample.low_sum, sample.high_sum);
      const T differences = half(sample.low_difference, sample.high_difference);
      // The error grows with the square of the largest |s|, and matters above 1 / 4 of the
      // range. That of d adds to that of s.
      const T far_sum = std::max<T>(sums, range_ / 4) / 8;
      const T far_difference =
          std::max({differences, sums, std::abs(q) / 32}) / 8;
      if (first || std::abs(p - pivots.sum[j + 1]) > far_sum ||
          std::abs(q - pivots.difference[j + 1]) > far_difference) {
        pivots.sum[j + 1] = p;
        pivots.difference[j + 1] = q;
        pivots.difference_step[j + 1] = DifferenceShift<T>::step_of(q);
        moved = true;
      }
    }
    return moved;
  }

 private:
  static constexpr std::int64_t V = kLanes<T>;

  /// The pixels of each lane: a row's lanes are compared with each other at the end.
  struct Range {
    Vec<T> low_sum, high_sum, low_difference, high_difference;
  };

  static FUSED_SSIM_INLINE Vec<T> none() {
    return Vec<T>(static_cast<T>(PivotSample::kNone));
  }

  static T half(T low, T high) {
    return low <= high ? (high - low) / 2 : 0;
  }

  static float lowest(Vec<T> values) {
    T lanes[V];
    values.store(lanes);
    for (std::int64_t step = V / 2; step > 0; step /= 2) {
      for (std::int64_t i = 0; i < step; ++i) {
        lanes[i] = std::min(lanes[i], lanes[i + step]);
      }
    }
    return static_cast<float>(lanes[0]);
  }

  /// Calls f(segment, first column, columns > 0).
  template <typename F>
  static void for_each_segment(
      std::int64_t columns,
      const LaneLayout<T>& lanes,
      const F& f) {
    std::int64_t begin = 0;
    for (int j = 0; begin < columns; ++j, begin += lanes.positions) {
      f(j, begin, std::min(columns - begin, lanes.positions));
    }
  }

  FUSED_SSIM_INLINE void include_near(
      const T* x, // [size]
      const T* y, // [size]
      std::int64_t size, // >= V
      Range& range) const {
    const Vec<T> inverse_unit(inverse_unit_), limit(T(4) * range_);
    Range all = range;
    for (std::int64_t i = 0; i < size; i += V) {
      const std::int64_t at = i < size - V ? i : size - V;
      const Vec<T> a = load(x + at) * inverse_unit;
      const Vec<T> b = load(y + at) * inverse_unit;
      const Vec<T> s = a + b, d = a - b;
      const Vec<T> near = s.abs() <= limit; // not a NaN
      const auto widen = [&](Vec<T>& low,
                             Vec<T>& high,
                             Vec<T> v) FUSED_SSIM_INLINE_LAMBDA {
        low = at::vec::clamp_max(Vec<T>::blendv(none(), v, near), low);
        high = at::vec::clamp_min(Vec<T>::blendv(none().neg(), v, near), high);
      };
      widen(all.low_sum, all.high_sum, s);
      widen(all.low_difference, all.high_difference, d);
    }
    range = all;
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
  Range ranges_[V];
  PivotSample samples_[V];
  bool is_empty_[V]; // no pixel near the data range
};

} // namespace
} // namespace fused_ssim::detail::cpu
