#pragma once

// What the kernels are handed, by value.

#include "device.cuh"

#include "backend.h"

#include <cstdint>

namespace fused_ssim::detail::cuda {

/// A View with strides in bytes.
struct Image {
  const char* data; // null: absent
  std::int64_t stride[4]; // n, c, h, w
  Element element;

  /// Address of a pixel; not to be read unless it lies in the image.
  __device__ __forceinline__ const char* at(
      std::int64_t n,
      std::int64_t c,
      std::int64_t y,
      std::int64_t x) const {
    return data + n * stride[0] + c * stride[1] + y * stride[2] + x * stride[3];
  }
};

/// A MutableView with strides in bytes.
struct MutableImage {
  char* data; // null: absent
  std::int64_t stride[4]; // n, c, h, w
  Element element;

  __device__ __forceinline__ char* at(
      std::int64_t n,
      std::int64_t c,
      std::int64_t y,
      std::int64_t x) const {
    return data + n * stride[0] + c * stride[1] + y * stride[2] + x * stride[3];
  }
};

/// Taps at distance 0 .. radius.
template <typename T>
struct Taps {
  int radius;
  T taps[kMaxRadius + 1];
};

/// Rows y0 .. y1 - 1 and columns x0 .. x1 - 1 of each image.
struct Region {
  int y0, y1, x0, x1;

  __device__ __forceinline__ bool has_row(int y) const {
    return y >= y0 && y < y1;
  }
  __device__ __forceinline__ bool has_column(int x) const {
    return x >= x0 && x < x1;
  }
};

/// A block's share of the sums of backend.h, or of the weights of both regions.
struct Sums {
  double dssim; // 1 - SSIM, or the weights of the map's region
  double l1; // |x - y|, or the weights of L1's region
};

/// The sum of weights that a mean divides by. Without weights the host knows it.
struct Normaliser {
  const Sums* partials; // [blocks], or null: no weights
  int blocks;
  double repeat; // each weight counts so many times (it was expanded)
  Sums counts; // pixels in the map's and in L1's region, of all images
};

template <typename T>
struct SSIMParams {
  Image input, target, weight; // [N, C, H, W]
  MutableImage map; // [N, C, map height, map width]
  MutableImage grad_input, grad_target; // [N, C, H, W]
  std::int64_t batch;
  int channels, height, width;
  Region map_region, l1_region;
  Taps<T> window;
  T two_c1, two_c2;
  float data_range;

  /// map = w (l1 |x - y| + dssim (1 - ssim) + offset).
  T l1, dssim, offset;
  /// Factors of the gradients of both terms; a mean's are yet to be divided by the
  /// sum of the weights where there are any.
  double l1_scale, dssim_scale;
  bool divide;
  Normaliser normaliser;

  /// How the blocks divide the work: strip.cuh.
  int strips; // of an image
  int strip_length; // its height, and in rows what it costs to begin one

  Sums* partials; // [blocks], or null: no sums wanted
};

struct WeightSumParams {
  /// No image and no channel stands for several here.
  Image weight; // [batch, channels, H, W]
  std::int64_t batch;
  int channels, height, width;
  Region map_region, l1_region;
  Sums* partials; // [blocks]
};

struct FinishParams {
  const Sums* dssim_partials; // [dssim_blocks]; their `dssim` counts
  const Sums* l1_partials; // [l1_blocks]; their `l1` counts
  int dssim_blocks, l1_blocks;
  Normaliser normaliser;
  double l1, dssim, offset;
  bool mean;
  bool wide; // results are float64, else float32
  void* value; // [], or null
  void* mean_l1; // [], or null
  void* mean_ssim; // [], or null
};

struct ScaleParams {
  void* data; // [count]
  Element element;
  int element_bytes;
  std::int64_t count;
  const void* factor; // []
  Element factor_element;
};

} // namespace fused_ssim::detail::cuda
