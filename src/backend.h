#pragma once

// The bridge between the device-independent operators (evaluate.cpp) and the
// kernels of one device. It holds plain structs and one signature an operation. It
// includes nothing heavy, so that kernels compile fast, once per instruction set.
//
// Both devices compute the following from two batches of images, in one pass:
//
//   value = l1_weight * L1 + dssim_weight * D + constant      (a scalar), or
//   map   = w (l1_weight |d| + dssim_weight (1 - ssim) + constant)    (an image), and
//   the gradient of the value in the input, or in the input and the target.
//
// Beside the gradient in the input they can write a map of errors (`ErrorTerms`).
//
// d is x - y, and w is the weight of a pixel (1 if there are no weights). |d| stands
// for smooth L1 where `Terms::smooth_l1_beta` is above 0. L1 is the
// sum of w |d| over `l1_region`, D is the sum of w (1 - ssim) over `ssim_region`.
// For a mean each is divided by the sum of w over its region (`WeightSums`). For a
// sum nothing is divided, and the constant counts once for each w.
//
// SSIM has the weights {0, -1} and the constant 1. The loss has {l1_weight,
// dssim_weight} and the constant 0. The kernels sum 1 - ssim, not ssim: so the loss
// of nearly equal images keeps its digits.
//
// A pixel of weight 0 adds nothing, whatever the images hold there. So a NaN under a
// weight of 0 reaches a result only through a window of positive weight that
// contains it.

#include "host_device.h"

#include <cstdint>

namespace fused_ssim::detail {

enum class Element : std::uint8_t {
  kFloat32,
  kFloat64,
  kFloat16,
  kBFloat16,
  kUInt8, // as an image: value / 255
  kBool, // as a weight: 0 or 1
};

constexpr int bytes_of(Element element) {
  switch (element) {
    case Element::kFloat64:
      return 8;
    case Element::kFloat32:
      return 4;
    case Element::kFloat16:
    case Element::kBFloat16:
      return 2;
    default:
      return 1;
  }
}

/// A strided [N, C, H, W] tensor. Strides count elements and may be 0 (expanded)
/// or negative; `data` is null where the tensor is absent.
struct View {
  const void* data = nullptr;
  std::int64_t stride[4] = {0, 0, 0, 0}; // n, c, h, w
  Element element = Element::kFloat32;
};

/// A View to be written. Its elements do not overlap.
struct MutableView {
  void* data = nullptr;
  std::int64_t stride[4] = {0, 0, 0, 0}; // n, c, h, w
  Element element = Element::kFloat32;
};

constexpr int kMaxRadius = 16;

/// The normalised Gaussian window of 2 radius + 1 taps: taps[k] is the weight at
/// distance k. It is symmetric and centred, and normalised in double.
struct Window {
  int radius = 5;
  double taps[kMaxRadius + 1] = {};
};

/// A rectangle of each image, in image coordinates; CUDA counts in 32 bits.
template <typename Index>
struct RegionOf {
  Index row_begin = 0, row_end = 0, column_begin = 0, column_end = 0;

  FUSED_SSIM_HOST_DEVICE bool has_row(Index row) const {
    return row >= row_begin && row < row_end;
  }
  FUSED_SSIM_HOST_DEVICE bool has_column(Index column) const {
    return column >= column_begin && column < column_end;
  }
  FUSED_SSIM_HOST_DEVICE Index rows() const {
    return row_end > row_begin ? row_end - row_begin : 0;
  }
  FUSED_SSIM_HOST_DEVICE Index columns() const {
    return column_end > column_begin ? column_end - column_begin : 0;
  }
};

using Region = RegionOf<std::int64_t>;

inline bool operator==(const Region& a, const Region& b) {
  return a.row_begin == b.row_begin && a.row_end == b.row_end &&
      a.column_begin == b.column_begin && a.column_end == b.column_end;
}

/// The pixels that two regions share.
inline Region intersection(const Region& a, const Region& b) {
  const auto larger = [](std::int64_t i, std::int64_t k) {
    return i > k ? i : k;
  };
  const auto smaller = [](std::int64_t i, std::int64_t k) {
    return i < k ? i : k;
  };
  return {
      larger(a.row_begin, b.row_begin),
      smaller(a.row_end, b.row_end),
      larger(a.column_begin, b.column_begin),
      smaller(a.column_end, b.column_end)};
}

/// How the terms add up to an objective.
struct Terms {
  double l1_weight = 0; // of |x - y|
  double dssim_weight = 0; // of 1 - SSIM
  double constant = 0;
  double smooth_l1_beta = 0; // 0: |x - y|
};

/// The terms of a map of errors: l1 |d| + dssim (1 - ssim) + contrast_structure (1 - cs),
/// not weighted by the mask. At least one of the last two is 0. A term of 0 is left out.
struct ErrorTerms {
  double l1 = 0, dssim = 0, contrast_structure = 0;
};

/// The constants of SSIM. The kernels work in units of `unit`: they multiply each
/// pixel by 1 / unit as they read it. That makes every data range as accurate as
/// the range 1, since the formula does not depend on the scale.
struct Constants {
  double unit = 1; // the power of two with unit <= L < 2 unit
  double c1 = 0, c2 = 0; // (k1 L / unit)^2, (k2 L / unit)^2
  double range = 1; // L / unit, for the pivots alone
};

/// Sums of weights that means divide by. Without weights: numbers of pixels.
struct WeightSums {
  double ssim = 0; // over `ssim_region` of all images and channels
  double l1 = 0; // over `l1_region`
};

/// The sums of both terms, in units of Constants::unit.
struct TermSums {
  double dssim = 0; // sum of w (1 - ssim) over ssim_region
  double l1 = 0; // sum of w |d| over l1_region
};

/// What to compute, from which images.
struct Problem {
  std::int64_t batch = 0, channels = 0, height = 0, width = 0; // all > 0

  View input; // [N, C, H, W] float type
  View target; // [N, C, H, W] the same type, or kUInt8
  View weight; // [N, C, H, W] any type, or absent

  Window window;
  Constants constants;
  Terms terms;
  bool mean = true; // divide by the weight sums
  /// A mean for each image and channel: it divides by the windows of one. Without
  /// weights.
  bool per_plane = false;

  /// The kernels may run beside those of the last call, as far as the device can: that
  /// call writes nothing that this one reads, and the memory of both stays theirs until
  /// a later call. Only for a problem per plane.
  bool overlaps_last_call = false;
  /// Of all calls that run beside each other, in all images and channels; 0: this one runs
  /// alone.
  std::int64_t pixels_beside = 0;

  /// The centres of all windows there are: the image for zero padding, else the
  /// image less `window.radius` pixels on each side.
  Region map_region;
  /// The pixels that this call answers for: only they enter the sums, and only
  /// their gradient is written. It is the image, unless the image is a piece of a
  /// larger one with rows of its neighbours.
  Region own_region;
  bool crop_l1 = false; // take L1 over the map's region

  /// The weight sums to divide by, on the images' device, or null: then the kernels
  /// work them out from `weight`, so that nothing waits for the device.
  const WeightSums* weight_sums = nullptr;
};

/// The windows that D sums.
inline Region ssim_region(const Problem& problem) {
  return intersection(problem.map_region, problem.own_region);
}

/// The pixels that L1 sums.
inline Region l1_region(const Problem& problem) {
  return problem.crop_l1 ? ssim_region(problem) : problem.own_region;
}

/// Where to put it. What is null is not wanted, and no work is done for it.
struct Outputs {
  /// Scalars of the compute type (float64 for float64 images, else float32), on
  /// the images' device.
  void* value = nullptr; // []
  void* l1 = nullptr; // [] L1 divided by its weight sum, whatever `mean`
  void* ssim = nullptr; // [] 1 - D divided by its weight sum, whatever `mean`

  /// [N, C, plane_parts] on the images' device: the sums of 1 - ssim over the windows
  /// of each image and channel, in parts; for Problem::per_plane, and then instead of
  /// the scalars.
  double* plane_sums = nullptr;
  int plane_parts = 1;

  /// The sums of a piece of a larger image, on the images' device. Only the terms that
  /// the wanted scalars above depend on are valid.
  TermSums* term_sums = nullptr; // []
  WeightSums* weight_sums = nullptr; // []

  /// [N, C, rows and columns of map_region]; excludes all others.
  MutableView map;

  /// grad_target only together with grad_input: SSIM and L1 are symmetric, so
  /// the caller swaps the images for a gradient in the target alone.
  MutableView grad_input; // [N, C, H, W], written in own_region
  MutableView grad_target; // [N, C, H, W], written in own_region

  /// [N, C, rows and columns of map_region], written in ssim_region; only together
  /// with grad_input, and without grad_target.
  MutableView error_map;
  ErrorTerms error;
};

namespace cpu {

/// The plane_parts that `run` wants for a problem per plane.
int plane_parts(const Problem& problem);

void run(const Problem& problem, const Outputs& outputs);

} // namespace cpu

namespace cuda {

int plane_parts(const Problem& problem, int device);

/// `device` is the index of the images' CUDA device; works on its current stream.
void run(const Problem& problem, const Outputs& outputs, int device);

/// Adds up the sums of the pieces of an image, in their order, to its scalars and its
/// weight sums. Of `problem` it reads no image.
void finish(
    const Problem& problem,
    const Outputs& outputs,
    const TermSums* terms, // [count]
    std::int64_t count,
    const WeightSums* weights, // [weight_count]
    std::int64_t weight_count,
    int device);

/// data[i] *= factor, for `count` adjacent elements; `factor` is a scalar on the
/// same device. Where it is 1, data is not touched, which costs no memory traffic.
void scale(
    void* data, // [count]
    Element element,
    std::int64_t count,
    const void* factor, // []
    Element factor_element,
    int device);

} // namespace cuda

} // namespace fused_ssim::detail
