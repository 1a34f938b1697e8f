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
constexpr int kPyramidWarps = kPyramidThreads / kWarpSize;
constexpr int kPyramidSharedBytes = kPyramidWarps * sizeof(WeightSums);

struct HalveParams {
  Image from[2]; // [N, C, H, W]
  MutableImage to[2]; // [N, C, halved(H), halved(W)] of the compute type
  std::int64_t batch;
  int channels, height, width; // of `from`
};

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

template <typename T>
__global__ void __launch_bounds__(kPyramidThreads)
    halve_kernel(const HalveParams p) {
  const int odd_row = p.height % 2, odd_column = p.width % 2;
  const int height = static_cast<int>(halved(p.height));
  const int width = static_cast<int>(halved(p.width));
  // Both images, one behind the other.
  for_each_row(
      2 * p.batch,
      p.channels,
      height,
      [&](std::int64_t image, int channel, int row) {
        const bool second = image >= p.batch;
        const std::int64_t n = second ? image - p.batch : image;
        const Image& from = second ? p.from[1] : p.from[0];
        const MutableImage& to = second ? p.to[1] : p.to[0];
        const int above = 2 * row - odd_row;
        const char* const lower = from.at(n, channel, above + 1, 0);
        const char* const upper = lower - from.stride[2];
        char* const result = to.at(n, channel, row, 0);
        for (int column = threadIdx.x; column < width; column += blockDim.x) {
          const int left = 2 * column - odd_column;
          const Span inside = span_of<2>(-left, 2);
          const Span inside_above = {above >= 0 ? inside.bits : 0};
          const auto load_pair = [&](const char* row, Span span, T(&pair)[2]) {
            load_values(
                row + left * from.stride[3],
                from.stride[3],
                from.element,
                span,
                pair);
          };
          T a[2], b[2];
          load_pair(upper, inside_above, a);
          load_pair(lower, inside, b);
          reinterpret_cast<T*>(result)[column] =
              T(0.25) * ((a[0] + b[0]) + (a[1] + b[1]));
        }
      });
}

/// A warp for each image and channel: its means, product and factors.
__global__ void __launch_bounds__(kPyramidThreads)
    products_kernel(const Combination c) {
  let_next_launch_begin();
  wait_for_last_launch();
  const int lane = threadIdx.x % kWarpSize;
  const std::int64_t planes = c.planes();
  const std::int64_t step = std::int64_t(gridDim.x) * kPyramidWarps;
  for (std::int64_t plane =
           std::int64_t(blockIdx.x) * kPyramidWarps + threadIdx.x / kWarpSize;
       plane < planes;
       plane += step) {
    double product = 1;
    double own_mean = 0; // that of scale number `lane`
    for (int scale = 0; scale < c.scales; ++scale) {
      const int parts = c.parts[scale];
      double sum = 0;
      for (int i = lane; i < parts; i += kWarpSize) {
        sum += c.sums[scale][plane * parts + i];
      }
      for (int other = kWarpSize / 2; other > 0; other /= 2) {
        sum += __shfl_xor_sync(kFullWarp, sum, other);
      }
      const double mean = c.mean_of(scale, sum);
      own_mean = lane == scale ? mean : own_mean;
      product *= c.power(scale, mean);
    }
    if (lane == 0) {
      c.products[plane] = product;
    }
    if (lane < c.scales && c.factors != nullptr) {
      c.store(
          c.factors, lane * planes + plane, c.factor(lane, own_mean, product));
    }
  }
}

/// One block: the products to the value.
__global__ void __launch_bounds__(kPyramidThreads)
    combine_kernel(const Combination c) {
  wait_for_last_launch();
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

/// A thread takes the pixels that belong to one of scale 1. It reads each of them just
/// before it writes it, by a plain load: the result may take the gradients' memory, which
/// is no read-only memory then.
template <typename T>
__global__ void __launch_bounds__(kPyramidThreads)
    descend_kernel(const DescendParams p) {
  const int odd_row = p.height % 2, odd_column = p.width % 2;
  const int rows = static_cast<int>(halved(p.height));
  const int columns = static_cast<int>(halved(p.width));
  for_each_row(
      p.batch, p.channels, rows, [&](std::int64_t n, int channel, int pair) {
        const std::int64_t planes = p.batch * p.channels;
        const std::int64_t plane = n * p.channels + channel;
        constexpr Span always{1};
        const T* const factors = static_cast<const T*>(p.factors) + plane;
        T upstream[1] = {T(1)};
        if (p.upstream.data != nullptr) {
          load_values(
              p.upstream.at(n, 0, 0, 0),
              0,
              p.upstream.element,
              always,
              upstream);
        }
        const T finest_factor = factors[0] * upstream[0];
        const Image& finest = p.gradients[0];
        const int row = 2 * pair - odd_row;
        const char* const lower = finest.at(n, channel, row + 1, 0);
        const char* const upper = lower - finest.stride[2];
        char* const lower_result = p.result.at(n, channel, row + 1, 0);
        char* const upper_result = lower_result - p.result.stride[2];
        for (int at = threadIdx.x; at < columns; at += blockDim.x) {
          T coarse = T(0);
          int y = pair, x = at;
          int height = rows, width = columns;
          T part = T(0.25) * upstream[0];
          for (int scale = 1; scale < p.scales; ++scale) {
            const Image& of = p.gradients[scale];
            coarse += part * factors[scale * planes] *
                *reinterpret_cast<const T*>(of.at(n, channel, y, x));
            part *= T(0.25);
            y = (y + height % 2) / 2;
            x = (x + width % 2) / 2;
            height = static_cast<int>(halved(height));
            width = static_cast<int>(halved(width));
          }
          const int left = 2 * at - odd_column;
          const Span inside = span_of<2>(-left, 2);
          const auto finish = [&](const char* from, char* to, bool any) {
            const Span here = {any ? inside.bits : 0};
            T values[2] = {};
            for (int k = 0; k < 2; ++k) {
              if (here.has(k)) {
                values[k] = finest_factor *
                        *reinterpret_cast<const T*>(
                                from + (left + k) * finest.stride[3]) +
                    coarse;
              }
            }
            store_values(
                to + left * p.result.stride[3],
                p.result.stride[3],
                p.result.element,
                here,
                values);
          };
          finish(upper, upper_result, row >= 0);
          finish(lower, lower_result, true);
        }
      });
}

} // namespace fused_ssim::detail::cuda
