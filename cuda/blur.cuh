#pragma once

// The two halves of the separable blur. kRadius is the window's radius, or 0 for
// one that is known at run time only (up to kMaxRadius, slower, same code).

#include "device.cuh"
#include "params.h"

namespace fused_ssim::detail::cuda {

template <int kRadius, typename T>
__device__ __forceinline__ int radius_of(const DeviceWindow<T>& window) {
  return kRadius > 0 ? kRadius : window.radius;
}

/// The vertical blur of one column, row after row. A row contributes to the
/// 2 radius + 1 results around it: instead of the last rows we keep the partial sums
/// of the results to come. A push completes one and moves the others on by one place,
/// and since an FMA may write elsewhere than it reads, the move is free.
template <typename T, int kRadius>
class VerticalBlur {
 public:
  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < kPending; ++i) {
      pending_[i] = T(0);
    }
  }

  /// Takes row y and returns the blurred row y - radius.
  __device__ __forceinline__ T push(T value, const DeviceWindow<T>& window) {
    using Math = DeviceMath<T>;
    const int radius = radius_of<kRadius>(window);
    const T result = Math::fma(value, window.taps[radius], pending_[0]);
    if constexpr (kRadius > 0) {
#pragma unroll
      for (int i = 0; i < 2 * kRadius - 1; ++i) {
        const int distance =
            i + 1 > kRadius ? i + 1 - kRadius : kRadius - i - 1;
        pending_[i] = Math::fma(value, window.taps[distance], pending_[i + 1]);
      }
    } else {
#pragma unroll 1
      for (int i = 0; i < 2 * radius - 1; ++i) {
        const int distance = i + 1 > radius ? i + 1 - radius : radius - i - 1;
        pending_[i] = Math::fma(value, window.taps[distance], pending_[i + 1]);
      }
    }
    pending_[2 * radius - 1] = value * window.taps[radius];
    return result;
  }

 private:
  static constexpr int kPending = 2 * (kRadius > 0 ? kRadius : kMaxRadius);
  T pending_[kPending]; // result y - radius + 1 + i after row y
};

/// Columns that a lane blurs horizontally.
constexpr int kLaneColumns = 8;

/// Where column c of a row lies in shared memory. Lanes read four columns at once,
/// eight columns apart: without the gaps each bank would be asked for twice.
__device__ __forceinline__ constexpr int place(int c) {
  return c + 4 * (c / kWarpSize);
}

/// Elements of a row of so many columns, a multiple of 32.
constexpr int pitch_of(int columns) {
  return columns + columns / 8;
}

/// Four neighbouring elements, read and written at once.
template <typename T>
struct alignas(4 * sizeof(T) < 16 ? 4 * sizeof(T) : 16) Quad {
  T v[4];
};

/// The horizontal blur of a row at this lane's columns: result j is centred at column
/// 8 lane + radius + j.
template <int kRadius, typename T>
__device__ __forceinline__ void horizontal_blur(
    const T* row, // [pitch], shared memory
    int lane,
    const DeviceWindow<T>& window,
    T (&result)[kLaneColumns]) {
  using Math = DeviceMath<T>;
  const int first = kLaneColumns * lane;
  if constexpr (kRadius > 0) {
    constexpr int kQuads = (2 * kRadius + kLaneColumns + 3) / 4;
    T values[4 * kQuads];
#pragma unroll
    for (int q = 0; q < kQuads; ++q) {
      const auto quad =
          *reinterpret_cast<const Quad<T>*>(row + place(first + 4 * q));
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        values[4 * q + i] = quad.v[i];
      }
    }
    // From the outer taps inward: the sum is small until its last terms, which
    // halves the rounding error of a sum from left to right.
#pragma unroll
    for (int j = 0; j < kLaneColumns; ++j) {
      T sum = values[j] * window.taps[kRadius];
      sum = Math::fma(values[j + 2 * kRadius], window.taps[kRadius], sum);
#pragma unroll
      for (int k = kRadius - 1; k > 0; --k) {
        sum = Math::fma(values[j + kRadius - k], window.taps[k], sum);
        sum = Math::fma(values[j + kRadius + k], window.taps[k], sum);
      }
      result[j] = Math::fma(values[j + kRadius], window.taps[0], sum);
    }
  } else {
    const int radius = window.radius;
#pragma unroll 1
    for (int j = 0; j < kLaneColumns; ++j) {
      T sum = T(0);
#pragma unroll 1
      for (int k = 0; k <= 2 * radius; ++k) {
        const int distance = k > radius ? k - radius : radius - k;
        sum = Math::fma(row[place(first + j + k)], window.taps[distance], sum);
      }
      result[j] = sum;
    }
  }
}

/// Writes this lane's columns over the row.
template <typename T>
__device__ __forceinline__ void store_lane_columns(
    T* row, // [pitch], shared memory
    int lane,
    const T (&values)[kLaneColumns]) {
#pragma unroll
  for (int i = 0; i < kLaneColumns; i += 4) {
    *reinterpret_cast<Quad<T>*>(row + place(kLaneColumns * lane + i)) = {
        {values[i], values[i + 1], values[i + 2], values[i + 3]}};
  }
}

} // namespace fused_ssim::detail::cuda
