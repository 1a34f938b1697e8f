#pragma once

// What the kernels are handed, by value.

#include "device.cuh"

#include "backend.h"
#include "passes.h"

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

/// A View or MutableView with strides in bytes.
template <typename ImageType, typename Data, typename ViewType>
ImageType in_bytes(const ViewType& view) {
  ImageType image{static_cast<Data*>(view.data), {}, view.element};
  for (int i = 0; i < 4; ++i) {
    image.stride[i] = view.stride[i] * bytes_of(view.element);
  }
  return image;
}

inline Image image_of(const View& view) {
  return in_bytes<Image, const char>(view);
}

inline MutableImage image_of(const MutableView& view) {
  return in_bytes<MutableImage, char>(view);
}

/// A Window in the compute type.
template <typename T>
struct DeviceWindow {
  int radius;
  T taps[kMaxRadius + 1];
};

/// Regions of images whose sides fit 32 bits.
using DeviceRegion = RegionOf<int>;

/// The weight sums that a mean divides by, from one of three places.
struct Normaliser {
  const WeightSums* given; // or null
  const WeightSums* partials; // [blocks], or null: no weights
  int blocks;
  double repeat; // each weight counts so many times (it was expanded)
  WeightSums counts; // of pixels, where there are no weights
};

/// The sums that a faster kernel left. A NaN among them says that the images did not fit
/// it.
struct FirstTry {
  const TermSums* partials; // [blocks]
  int blocks; // 0: it did not run
};

template <typename T>
struct SSIMParams {
  Image input, target, weight; // [N, C, H, W]
  MutableImage map; // [N, C, map height, map width]
  MutableImage grad_input, grad_target; // [N, C, H, W]
  std::int64_t batch;
  int channels, height, width;
  DeviceRegion map_region, own_region, l1_region;
  DeviceWindow<T> window;
  T inverse_unit, two_c1, two_c2;
  float range; // Constants::range
  /// A window of this weight does not count, whatever the images hold there: 0. In a first
  /// try each window counts, so that a NaN shows which came from outside of the window.
  T uncounted_weight;

  Terms terms;
  SmoothL1<T> smooth_l1;
  double unit;
  bool mean;
  Normaliser normaliser;

  MutableImage error_map; // [N, C, map height, map width]
  /// ErrorTerms, of what the kernels have: |d| in units, and (1 - ssim) or (1 - cs)
  /// over kValueScale.
  T error_l1, error_ssim;
  bool error_is_contrast_structure;

  /// How the blocks divide the work: strip.cuh.
  int beside; // channels whose strips blocks take side by side: all, or 1
  int strips; // of an image
  int strip_width; // columns; the banded kernel has its own
  int strip_length; // the rows of own_region, and in rows what it costs to begin one

  TermSums* partials; // [blocks], or null: no sums wanted

  /// Blocks that keep to one image and channel each, so many for each of these, and
  /// then the sums of 1 - ssim go to `plane_sums`. 0: blocks divide the whole batch.
  int plane_blocks;
  double* plane_sums; // [blocks], or null
  bool l1_sum; // wanted
  bool early; // begins while the last launch still runs
  FirstTry first_try; // if that is good, there is nothing left to do
};

struct WeightSumParams {
  /// No image and no channel stands for several here.
  Image weight; // [batch, channels, H, W]
  std::int64_t batch;
  int channels, height, width;
  DeviceRegion ssim_region, l1_region;
  bool same_regions;
  WeightSums* partials; // [blocks]
};

struct FinishParams {
  const TermSums* ssim_partials; // [ssim_blocks]; their `dssim` counts
  const TermSums* l1_partials; // [l1_blocks]; their `l1` counts
  int ssim_blocks, l1_blocks;
  FirstTry first_try; // instead of ssim_partials, if that is good
  bool l1_of_ssim; // l1_partials are ssim_partials
  Normaliser normaliser;
  Terms terms;
  double unit;
  bool mean;
  bool wide; // results are float64, else float32
  void* value; // [], or null
  void* l1; // [], or null
  void* ssim; // [], or null
  TermSums* term_sums; // [], or null
  WeightSums* weight_sums; // [], or null
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
