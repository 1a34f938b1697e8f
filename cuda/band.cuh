#pragma once

// NOTE [ Blurs as products of matrices ]
//
// Blurred along its columns, a block of 16 results in each of 16 columns is the product
// of a banded 16x32 matrix, the window's weights, with the 32 rows around. Tensor cores
// multiply float16 and add up in float32. A float32 becomes a sum of two float16,
// high + low, which has 22 bits. Three products, high high + high low + low high, then
// keep float32's accuracy.
//
// A block of 16x16 values lies in a warp's registers as follows: lane (g, t) = (lane / 4,
// lane % 4) holds rows 4 t .. 4 t + 3 and columns 2 g, 2 g + 1. With the band's rows and
// columns in the order 0, 2, .. 14, 1, 3, .. 15, a product's results, made pairs of
// float16 again, are the operand of the next product, along the other axis. So nothing
// is ever transposed: a product along rows and one along columns bring the results back
// to where the values lay.
//
// Of the 32 values that a result needs, 16 are in the block that came before, 16 in the
// new one, and the results lie 8 before the new block. Hence radii up to 8, all at the
// same price. Larger ones take the 48 values of three blocks; then the results lie 16
// before the new one.

#include "banded_policy.h"
#include "matrix.cuh"

namespace fused_ssim::detail::cuda {

/// A lane's values of a block.
constexpr int kLaneRows = 4, kLanePairs = 2;

/// values[row][column] of this lane.
template <typename T = float>
using LaneValues = T[kLaneRows][kLanePairs];

/// A block as the right factor of a product.
struct Operand {
  std::uint32_t high[2][2],
      low[2][2]; // [half of the results][half of the rows]
};

static_assert(kWarpSize * sizeof(Operand) == kOperandBytes, "");

/// Results of a product: sums[i][k] is at row 2 (k % 2) ..., see result().
using Product = float[2][4];

/// The result of two products, along rows and along columns, at this lane's
/// (row, column).
__device__ __forceinline__ float result(
    const Product& product,
    int row,
    int column) {
  return product[row & 1][(row >> 1) + 2 * column];
}

/// For a product along rows.
__device__ __forceinline__ void make_operand(
    Operand& operand,
    const LaneValues<>& values) {
#pragma unroll
  for (int column = 0; column < 2; ++column) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      split(
          values[half][column],
          values[2 + half][column],
          operand.high[column][half],
          operand.low[column][half]);
    }
  }
}

/// For a product along columns, from one along rows.
__device__ __forceinline__ void make_operand(
    Operand& operand,
    const Product& product) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      split(
          product[half][2 * i],
          product[half][2 * i + 1],
          operand.high[i][half],
          operand.low[i][half]);
    }
  }
}

/// The values of an operand for a product along rows.
__device__ __forceinline__ void values_of(
    const Operand& operand,
    LaneValues<>& values) {
#pragma unroll
  for (int column = 0; column < 2; ++column) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float2 pair =
          joined(operand.high[column][half], operand.low[column][half]);
      values[half][column] = pair.x;
      values[2 + half][column] = pair.y;
    }
  }
}

struct alignas(16) FourWords {
  std::uint32_t v[4];
};

/// Operands in shared memory; each lane reads what it wrote.
__device__ __forceinline__ void store(
    char* to, // [kOperandBytes]
    int lane,
    const Operand& operand) {
  auto* const words = reinterpret_cast<FourWords*>(to) + lane;
  const auto& high = operand.high;
  const auto& low = operand.low;
  words[0] = {{high[0][0], high[0][1], high[1][0], high[1][1]}};
  words[kWarpSize] = {{low[0][0], low[0][1], low[1][0], low[1][1]}};
}

__device__ __forceinline__ void load(
    const char* from, // [kOperandBytes]
    int lane,
    Operand& operand) {
  const auto* const words = reinterpret_cast<const FourWords*>(from) + lane;
  const FourWords high = words[0], low = words[kWarpSize];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    operand.high[i / 2][i % 2] = high.v[i];
    operand.low[i / 2][i % 2] = low.v[i];
  }
}

/// The banded matrix.
template <int kSpan>
class Band {
 public:
  __device__ __forceinline__ Band(const DeviceWindow<float>& window, int lane) {
    constexpr int kHalf = kBlock * (kSpan - 1) / 2;
    const auto place = [](int i) { return 2 * (i & 7) + (i >> 3); };
    const int g = lane >> 2, t = lane & 3;
#pragma unroll
    for (int side = 0; side < kSpan; ++side) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float weights[2];
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          const int distance = kHalf + place(g + 8 * (i & 1)) - kBlock * side -
              place(2 * t + k + 8 * (i >> 1));
          const int size = distance < 0 ? -distance : distance;
          weights[k] = size <= window.radius ? window.taps[size] : 0.0f;
        }
        split(weights[0], weights[1], high_[side][i], low_[side][i]);
      }
    }
  }

  /// The part of kCount products that comes from one of the kSpan blocks: 0, the
  /// oldest, begins the sums, the others add to them. So what comes from the older ones
  /// need not wait for the new block. The small terms come first. Several products at
  /// once, since each is a chain of sums.
  template <int kSide, int kCount>
  __device__ __forceinline__ void multiply(
      Product (&sums)[kCount],
      const Operand* const (&blocks)[kCount]) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const auto& high = blocks[i]->high[half];
        multiply_add<kSide == 0>(sums[i][half], low_[kSide], high[0], high[1]);
      }
    }
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const auto& low = blocks[i]->low[half];
        multiply_add<false>(sums[i][half], high_[kSide], low[0], low[1]);
      }
    }
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const auto& high = blocks[i]->high[half];
        multiply_add<false>(sums[i][half], high_[kSide], high[0], high[1]);
      }
    }
  }

 private:
  std::uint32_t high_[kSpan][4], low_[kSpan][4]; // [block, from the oldest on]
};

} // namespace fused_ssim::detail::cuda
