#pragma once

// The two halves of the separable blur. kRadius is the window's radius, or 0 for
// one that is known at run time only (up to kMaxRadius, slower, same code).

#include "device.cuh"
#include "params.h"

namespace fused_ssim::detail::cuda {

template <int kRadius, typename T>
__device__ __forceinline__ int radius_of(const Taps<T>& window) {
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
  __device__ __forceinline__ T push(T value, const Taps<T>& window) {
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

/// Four neighbouring elements, read and written at once.
template <typename T>
struct alignas(4 * sizeof(T) < 16 ? 4 * sizeof(T) : 16) Quad {
  T v[4];
};

template <typename T>
__device__ __forceinline__ Quad<T> load_quad(const T* row) {
  return *reinterpret_cast<const Quad<T>*>(row);
}

template <typename T>
__device__ __forceinline__ void store_quad(T* row, const Quad<T>& quad) {
  *reinterpret_cast<Quad<T>*>(row) = quad;
}

/// The horizontal blur at four neighbouring columns: result j is centred at
/// row[radius + j], and row[0 .. 2 radius + 3] is read in whole quads.
template <int kRadius, typename T>
__device__ __forceinline__ Quad<T> horizontal_blur(
    const T* row, // shared memory, quad-aligned
    const Taps<T>& window) {
  using Math = DeviceMath<T>;
  Quad<T> result;
  if constexpr (kRadius > 0) {
    constexpr int kQuads = (2 * kRadius + 4 + 3) / 4;
    T values[4 * kQuads];
#pragma unroll
    for (int q = 0; q < kQuads; ++q) {
      const Quad<T> quad = load_quad(row + 4 * q);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        values[4 * q + i] = quad.v[i];
      }
    }
    // From the outer taps inward: the sum is small until its last terms, which
    // halves the rounding error of a sum from left to right.
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      result.v[j] = values[j] * window.taps[kRadius];
      result.v[j] =
          Math::fma(values[j + 2 * kRadius], window.taps[kRadius], result.v[j]);
#pragma unroll
      for (int k = kRadius - 1; k > 0; --k) {
        result.v[j] =
            Math::fma(values[j + kRadius - k], window.taps[k], result.v[j]);
        result.v[j] =
            Math::fma(values[j + kRadius + k], window.taps[k], result.v[j]);
      }
      result.v[j] = Math::fma(values[j + kRadius], window.taps[0], result.v[j]);
    }
  } else {
    const int radius = window.radius;
#pragma unroll 1
    for (int j = 0; j < 4; ++j) {
      T sum = T(0);
#pragma unroll 1
      for (int k = 0; k <= 2 * radius; ++k) {
        const int distance = k > radius ? k - radius : radius - k;
        sum = Math::fma(row[j + k], window.taps[distance], sum);
      }
      result.v[j] = sum;
    }
  }
  return result;
}

/// Elements that the rows of a block in shared memory need beyond its columns.
constexpr int kRowPadding = 8;

} // namespace fused_ssim::detail::cuda
