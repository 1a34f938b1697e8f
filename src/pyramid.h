#pragma once

// The steps of MS-SSIM around the kernel with SSIM, for both devices:
//
//   halve     both images of a scale to those of the next ones
//   combine   the sums of all scales to the value, and to the factor of each scale's
//             gradient
//   descend   the gradients of all scales, times their factors, to that of the images
//
// Pixel (r, c) of a scale belongs to pixel ((r + height % 2) / 2, (c + width % 2) / 2)
// of the next one, which is the mean of the four pixels that belong to it. Of these
// some are missing in the first row where the height is odd, and in the first column
// where the width is. They count as 0.

#include "backend.h"

#include <cmath>
#include <cstdint>

namespace fused_ssim::detail {

constexpr int kMaxScales = 16;

/// A side of the next scale.
FUSED_SSIM_HOST_DEVICE std::int64_t halved(std::int64_t side) {
  return (side + 1) / 2;
}

/// From one scale to the next.
struct Halving {
  std::int64_t batch = 0, channels = 0, height = 0,
               width = 0; // of `from`, all > 0
  View from[2]; // [N, C, H, W] any type
  /// [N, C, halved(H), halved(W)] float64 or float32, in which the means are computed.
  MutableView to[2];
};

/// All pointers lead to memory of the images' device.
struct Combination {
  std::int64_t images = 0, channels = 0; // > 0
  int scales = 0;
  double weight[kMaxScales] = {};
  const double* sums[kMaxScales] = {}; // [images, channels, parts]: plane_sums
  int parts[kMaxScales] = {};
  double count[kMaxScales] = {}; // windows of an image and channel

  bool none = false; // a value for each image
  bool mean = false; // of the images; else their sum
  double* products = nullptr; // [images, channels], scratch
  void* factors = nullptr; // [scales, images, channels], or null
  void* value = nullptr; // [images] if `none`, else []
  bool wide = false; // factors and value are float64, else float32

  FUSED_SSIM_HOST_DEVICE std::int64_t planes() const {
    return images * channels;
  }
  /// The derivative of the value, or of that of its image, in a product.
  FUSED_SSIM_HOST_DEVICE double share() const {
    return 1 /
        (static_cast<double>(channels) *
         (mean && !none ? static_cast<double>(images) : 1));
  }
  /// The mean of one scale in one plane.
  FUSED_SSIM_HOST_DEVICE double mean_of(int scale, double sum) const {
    return 1 - sum / count[scale];
  }
  /// What a scale's mean contributes to the product: 0 where it is <= 0. A NaN stays.
  FUSED_SSIM_HOST_DEVICE double power(int scale, double mean) const {
    return mean <= 0 ? 0 : std::pow(mean, weight[scale]);
  }
  /// The derivative of the value in a scale's mean, from the product of all powers.
  /// It is 0, without a division by 0, where this or another mean is <= 0.
  FUSED_SSIM_HOST_DEVICE double factor(int scale, double mean, double product)
      const {
    return mean <= 0 ? 0 : share() * weight[scale] * product / mean;
  }
  FUSED_SSIM_HOST_DEVICE void store(void* to, std::int64_t index, double number)
      const {
    if (wide) {
      static_cast<double*>(to)[index] = number;
    } else {
      static_cast<float*>(to)[index] = static_cast<float>(number);
    }
  }
};

struct Descent {
  std::int64_t batch = 0, channels = 0, height = 0,
               width = 0; // finest, all > 0
  int scales = 0;
  /// [N, C, H, W] of each scale: the gradient of the mean of each image and channel,
  /// float64 or float32, in which the results are computed.
  View gradients[kMaxScales];
  const void* factors = nullptr; // [scales, N, C] of their type
  View upstream; // [N] any floating type, or absent: 1
  /// [N, C, H, W] any floating type. It may be the memory of gradients[0].
  MutableView result;
};

namespace cpu {

void halve(const Halving* halvings, int count);
void combine(const Combination& combination);
void descend(const Descent& descent);

} // namespace cpu

namespace cuda {

/// Each halving begins with the images that the last one leaves.
void halve(const Halving* halvings, int count, int device);
/// After the kernels of the scales, with nothing in between.
void combine(const Combination& combination, int device);
void descend(const Descent& descent, int device);

} // namespace cuda

} // namespace fused_ssim::detail
