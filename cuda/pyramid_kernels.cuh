#pragma once

// The kernels of src/pyramid.h. They read and write each pixel once; how fast they are
// depends on the device's memory alone.

#include "elements.cuh"
#include "params.h"
#include "reduce.cuh"
#include "rows.cuh"

#include "pyramid.h"

namespace fused_ssim::detail::cuda {

constexpr int kPyramidThreads = 256;

/// Scales that one launch makes.
constexpr int kHalvings = 4;
/// What a block makes of the first of them.
constexpr int kTileRows = 16, kTileColumns = 64;

struct HalveParams {
  Image from[2]; // [N, C, H, W]
  /// Of the compute type; of the first scale [N, C, halved(H), halved(W)].
  MutableImage to[kHalvings][2];
  int count; // scales, 1 to kHalvings
  std::int64_t batch;
  int channels, height, width; // of `from`
};

/// Blocks of an image and channel.
struct Tiles {
  unsigned rows, columns;
};

/// They divide the coarsest scale, so that no block needs what another one makes.
FUSED_SSIM_HOST_DEVICE Tiles tiles_of(const HalveParams& params) {
  std::int64_t height = params.height, width = params.width;
  for (int scale = 0; scale < params.count; ++scale) {
    height = halved(height);
    width = halved(width);
  }
  const int rows = kTileRows >> (params.count - 1);
  const int columns = kTileColumns >> (params.count - 1);
  return {
      static_cast<unsigned>((height + rows - 1) / rows),
      static_cast<unsigned>((width + columns - 1) / columns)};
}

/// A tile of all kHalvings scales: 1 + 1/4 + 1/16 + 1/64 of the first one.
template <typename T>
constexpr int kHalveSharedBytes = (kTileRows * kTileColumns * 85 / 64) *
    sizeof(T);

/// The mean of 2 x 2 pixels, in the order of the CPU.
template <typename T>
__device__ __forceinline__ T
mean_of_four(const T (&upper)[2], const T (&lower)[2]) {
  return T(0.25) * ((upper[0] + lower[0]) + (upper[1] + lower[1]));
}

/// A tile of several scales. Pixel (r, c) of a tile is the mean of its pixels (2 r, 2 c) to
/// (2 r + 1, 2 c + 1) of the scale before, as `begin` of each scale is chosen. Those outside
/// of the image are 0.
template <typename T>
__global__ void __launch_bounds__(kPyramidThreads)
    halve_kernel(const __grid_constant__ HalveParams p) {
  T* const shared = reinterpret_cast<T*>(shared_memory());
  const Tiles tiles = tiles_of(p);
  // 32 bits: divisions of 64 would take longer than all else.
  unsigned tile = blockIdx.x;
  const int tile_column = static_cast<int>(tile % tiles.columns);
  tile /= tiles.columns;
  const int tile_row = static_cast<int>(tile % tiles.rows);
  tile /= tiles.rows;
  const int channel =
      static_cast<int>(tile % static_cast<unsigned>(p.channels));
  const std::int64_t image = tile / static_cast<unsigned>(p.channels);
  const int which = image < p.batch ? 0 : 1;
  const std::int64_t n = which == 0 ? image : image - p.batch;

  // Sides of the scales, 0 is `from`, and where the tile begins in each.
  int height[kHalvings + 1], width[kHalvings + 1];
  int row_begin[kHalvings + 1], column_begin[kHalvings + 1];
  height[0] = p.height;
  width[0] = p.width;
#pragma unroll
  for (int scale = 1; scale <= kHalvings; ++scale) {
    height[scale] = static_cast<int>(halved(height[scale - 1]));
    width[scale] = static_cast<int>(halved(width[scale - 1]));
  }
#pragma unroll
  for (int scale = kHalvings; scale >= 0; --scale) {
    if (scale >= p.count) {
      row_begin[scale] = tile_row * (kTileRows >> (p.count - 1));
      column_begin[scale] = tile_column * (kTileColumns >> (p.count - 1));
    } else {
      row_begin[scale] = 2 * row_begin[scale + 1] - height[scale] % 2;
      column_begin[scale] = 2 * column_begin[scale + 1] - width[scale] % 2;
    }
  }

  const auto store = [&](int scale, int row, int column, T mean) {
    const int y = row_begin[scale] + row, x = column_begin[scale] + column;
    const bool inside =
        y >= 0 && x >= 0 && y < height[scale] && x < width[scale];
    if (inside) {
      *reinterpret_cast<T*>(p.to[scale - 1][which].at(n, channel, y, x)) = mean;
    }
    return inside ? mean : T(0);
  };

  // The first scale, from the image: all loads before the first use.
  constexpr int kRowStep = kPyramidThreads / kTileColumns;
  constexpr int kPixels = kTileRows / kRowStep; // of a thread
  const int column = threadIdx.x % kTileColumns;
  const int first_row = threadIdx.x / kTileColumns;
  const Image& from = p.from[which];
  const int y = row_begin[0] + 2 * first_row, x = column_begin[0] + 2 * column;
  const char* const corner = from.at(n, channel, y, x);
  const Span in_row = span_of<2>(-x, width[0] - x);
  T pixels[kPixels][2][2];
#pragma unroll
  for (int i = 0; i < kPixels; ++i) {
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      const int below = 2 * kRowStep * i + k;
      const bool any = y + below >= 0 && y + below < height[0];
      load_values(
          corner + below * from.stride[2],
          from.stride[3],
          from.element,
          Span{any ? in_row.bits : 0},
          pixels[i][k]);
    }
  }
#pragma unroll
  for (int i = 0; i < kPixels; ++i) {
    const int row = first_row + kRowStep * i;
    shared[row * kTileColumns + column] =
        store(1, row, column, mean_of_four(pixels[i][0], pixels[i][1]));
  }

  // The next ones, from shared memory.
  const T* before = shared;
  T* here = shared + kTileRows * kTileColumns;
#pragma unroll
  for (int scale = 2; scale <= kHalvings; ++scale) {
    if (scale <= p.count) {
      block_barrier<19>();
    }
    const int columns = kTileColumns >> (scale - 1);
    const int rows = kTileRows >> (scale - 1);
    const int at_row = threadIdx.x / columns, at_column = threadIdx.x % columns;
    if (scale <= p.count && at_row < rows) {
      const T* const upper = before + 4 * at_row * columns + 2 * at_column;
      const T* const lower = upper + 2 * columns;
      here[threadIdx.x] = store(
          scale,
          at_row,
          at_column,
          mean_of_four<T>({upper[0], upper[1]}, {lower[0], lower[1]}));
    }
    before = here;
    here += rows * columns;
  }
}

constexpr int kCombineThreads = 256;
constexpr int kCombineWarps = kCombineThreads / kWarpSize;
constexpr int kCombineSharedBytes = kCombineWarps * sizeof(WeightSums);

/// From the products to the value, by one block.
__device__ __forceinline__ void store_value(const Combination& c) {
  WeightSums sums;
  for (std::int64_t image = threadIdx.x; image < c.images;
       image += blockDim.x) {
    double sum = 0;
    for (std::int64_t channel = 0; channel < c.channels; ++channel) {
      sum += c.products[image * c.channels + channel];
    }
    const double value = sum / static_cast<double>(c.channels);
    if (c.none) {
      c.store(c.value, image, value);
    }
    sums.ssim += value;
  }
  if (c.none) {
    return;
  }
  sums = block_sum<0>(sums, reinterpret_cast<WeightSums*>(shared_memory()));
  if (threadIdx.x == 0) {
    c.store(
        c.value,
        0,
        c.mean ? sums.ssim / static_cast<double>(c.images) : sums.ssim);
  }
}

/// A warp for each image and channel: its means, product and factors, a lane for each
/// scale. A single block goes on to the value.
__global__ void __launch_bounds__(kCombineThreads)
    products_kernel(const __grid_constant__ Combination c) {
  static_assert(kMaxScales <= kWarpSize, "");
  let_next_launch_begin();
  wait_for_last_launch();
  const int lane = threadIdx.x % kWarpSize;
  const std::int64_t planes = c.planes();
  const std::int64_t step = std::int64_t(gridDim.x) * kCombineWarps;
  for (std::int64_t plane =
           std::int64_t(blockIdx.x) * kCombineWarps + threadIdx.x / kWarpSize;
       plane < planes;
       plane += step) {
    double mean = 0; // of scale number `lane`
    for (int scale = 0; scale < c.scales; ++scale) {
      const int parts = c.parts[scale];
      double sum = 0;
      for (int i = lane; i < parts; i += kWarpSize) {
        sum += c.sums[scale][plane * parts + i];
      }
      for (int other = kWarpSize / 2; other > 0; other /= 2) {
        sum += __shfl_xor_sync(kFullWarp, sum, other);
      }
      mean = lane == scale ? c.mean_of(scale, sum) : mean;
    }
    const double power = lane < c.scales ? c.power(lane, mean) : 1;
    double product = 1;
    for (int scale = 0; scale < c.scales; ++scale) {
      product *= __shfl_sync(kFullWarp, power, scale);
    }
    if (lane == 0) {
      c.products[plane] = product;
    }
    if (lane < c.scales && c.factors != nullptr) {
      c.store(c.factors, lane * planes + plane, c.factor(lane, mean, product));
    }
  }
  if (gridDim.x == 1) {
    block_barrier<20>();
    store_value(c);
  }
}

__global__ void __launch_bounds__(kCombineThreads)
    value_kernel(const __grid_constant__ Combination c) {
  wait_for_last_launch();
  store_value(c);
}

struct DescendParams {
  int scales;
  Image
      gradients[kMaxScales]; // [N, C, H, W] of each scale, of the compute type
  const void* factors; // [scales, N, C] of that type
  Image upstream; // [N], or absent
  MutableImage result; // [N, C, H, W]
  std::int64_t batch;
  int channels, height, width; // finest
};

/// The rows of the scales 1, 2 and so on that belong to a row of scale 1, and where a column
/// of scale 1 lies in them.
template <typename T, int kScales>
struct CoarseRows {
  const char* rows[kScales]; // column 0; null: there is no such scale
  std::int64_t steps[kScales];
  T factors[kScales];
  int odd[kScales]; // whether the width is

  __device__ __forceinline__ CoarseRows(
      const DescendParams& p,
      const T* factors_of_scales, // of this image and channel, `planes` apart
      std::int64_t planes,
      std::int64_t n,
      int channel,
      int row) {
    int height = p.height, width = p.width;
    T share = T(1); // of a pixel in those that it is the mean of
#pragma unroll
    for (int i = 0; i < kScales; ++i) {
      if (i > 0) {
        row = (row + height % 2) / 2;
      }
      height = static_cast<int>(halved(height));
      width = static_cast<int>(halved(width));
      share *= T(0.25);
      odd[i] = width % 2;
      rows[i] = nullptr;
      if (i + 1 < p.scales) {
        const Image& of = p.gradients[i + 1];
        rows[i] = of.at(n, channel, row, 0);
        steps[i] = of.stride[3];
        factors[i] = share * factors_of_scales[(i + 1) * planes];
      }
    }
  }

  __device__ __forceinline__ void load(int column, T (&values)[kScales]) const {
#pragma unroll
    for (int i = 0; i < kScales; ++i) {
      values[i] = rows[i] != nullptr
          ? *reinterpret_cast<const T*>(rows[i] + column * steps[i])
          : T(0);
      column = (column + odd[i]) / 2;
    }
  }

  __device__ __forceinline__ T sum(const T (&values)[kScales]) const {
    T sum = T(0);
#pragma unroll
    for (int i = 0; i < kScales; ++i) {
      sum += rows[i] != nullptr ? factors[i] * values[i] : T(0);
    }
    return sum;
  }
};

/// A thread takes the pixels that belong to some pixels of scale 1. It reads each of them
/// before it writes one, by a plain load: the result may take the gradients' memory, which
/// is no read-only memory then. `kScales`: at least the coarse ones.
template <typename T, int kScales>
__global__ void __launch_bounds__(kPyramidThreads)
    descend_kernel(const __grid_constant__ DescendParams p) {
  const int odd_row = p.height % 2, odd_column = p.width % 2;
  const int rows = static_cast<int>(halved(p.height));
  const int columns = static_cast<int>(halved(p.width));
  for_each_row(
      p.batch, p.channels, rows, [&](std::int64_t n, int channel, int pair) {
        const std::int64_t planes = p.batch * p.channels;
        const T* const factors =
            static_cast<const T*>(p.factors) + n * p.channels + channel;
        T upstream[1] = {T(1)};
        if (p.upstream.data != nullptr) {
          constexpr Span always{1};
          load_values(
              p.upstream.at(n, 0, 0, 0),
              0,
              p.upstream.element,
              always,
              upstream);
        }
        const CoarseRows<T, kScales> coarse_rows(
            p, factors, planes, n, channel, pair);
        const T finest_factor = factors[0] * upstream[0];
        const Image& finest = p.gradients[0];
        const int row = 2 * pair - odd_row;
        const char* const from = finest.at(n, channel, row, 0);
        char* const to = p.result.at(n, channel, row, 0);
        constexpr int kAtOnce =
            2; // pixels of scale 1, whose loads wait together
        for (int first = threadIdx.x; first < columns;
             first += kAtOnce * kPyramidThreads) {
          T pixels[kAtOnce][2][2], coarse[kAtOnce][kScales];
          Span inside[kAtOnce][2]; // upper row, lower row
#pragma unroll
          for (int i = 0; i < kAtOnce; ++i) {
            const int at = first + i * kPyramidThreads;
            const int left = 2 * at - odd_column;
            const Span here = span_of<2>(-left, at < columns ? 2 : 0);
            inside[i][0] = {row >= 0 ? here.bits : 0};
            inside[i][1] = here;
#pragma unroll
            for (int k = 0; k < 2; ++k) {
#pragma unroll
              for (int j = 0; j < 2; ++j) {
                pixels[i][k][j] = inside[i][k].has(j)
                    ? *reinterpret_cast<const T*>(
                          from + k * finest.stride[2] +
                          (left + j) * finest.stride[3])
                    : T(0);
              }
            }
            coarse_rows.load(min(at, columns - 1), coarse[i]);
          }
#pragma unroll
          for (int i = 0; i < kAtOnce; ++i) {
            const int left = 2 * (first + i * kPyramidThreads) - odd_column;
            const T part = coarse_rows.sum(coarse[i]) * upstream[0];
#pragma unroll
            for (int k = 0; k < 2; ++k) {
              pixels[i][k][0] = finest_factor * pixels[i][k][0] + part;
              pixels[i][k][1] = finest_factor * pixels[i][k][1] + part;
              store_values(
                  to + k * p.result.stride[2] + left * p.result.stride[3],
                  p.result.stride[3],
                  p.result.element,
                  inside[i][k],
                  pixels[i][k]);
            }
          }
        }
      });
}

} // namespace fused_ssim::detail::cuda
