#pragma once

// The bridge between the device-independent operators (evaluate.cpp) and the
// kernels of one device: plain structs, one signature an operation, and no heavy
// include, so that kernels compile fast and once per instruction set.
//
// Both devices compute, from two batches of images alone and in one pass,
//
//   value = l1 * L1 + dssim * D + offset * W          (a scalar), or
//   map   = w (l1 |x - y| + dssim (1 - ssim) + offset)    (an image), and
//   the gradient of the value in the input, or in the input and the target,
//
// where, with weights w (1 if there are none),
//   L1 = sum of w |x - y| over the image, or over the map's region (crop_l1),
//   D  = sum of w (1 - ssim) over the map's region, W = sum of w over it,
// each divided, if `mean`, by the sum of w over the same region of all images and
// channels; where that sum is zero, L1 = D = 0 and W = 1. A kernel works out these
// sums itself (a pass over `weight`, as small as it is before expansion), so that
// nothing waits for the device.
//
// SSIM is {0, -1, 1}, the loss {l1_weight, dssim_weight, 0}. That the kernels
// sum 1 - ssim, not ssim, makes the loss of nearly equal images exact.

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

constexpr int kMaxRadius = 15;

/// The normalised Gaussian window of 2 radius + 1 taps: taps[k] is the weight at
/// distance k. Symmetric, hence centred; normalised in double.
struct Window {
  int radius = 5;
  double taps[kMaxRadius + 1] = {};
};

/// What to compute, from which images.
struct Problem {
  std::int64_t batch = 0, channels = 0, height = 0, width = 0; // all > 0

  View input; // [N, C, H, W] float type
  View target; // [N, C, H, W] the same type, or kUInt8
  View weight; // [N, C, H, W] any type, or absent; in image coordinates

  Window window;
  double c1 = 0, c2 = 0; // (k1 L)^2, (k2 L)^2
  double data_range = 1; // L, for the pivot alone

  /// The map's region: the image, or, if `valid`, the image less
  /// `window.radius` pixels on each side (at least one pixel is left).
  bool valid = false;
  bool crop_l1 = false;

  double l1 = 0, dssim = 0, offset = 0;
  bool mean = true;
};

/// Where to put it. What is null is not wanted, and no work is done for it.
struct Outputs {
  /// Scalars of the compute type (float64 for float64 images, else float32), on
  /// the images' device.
  void* value = nullptr; // []
  void* l1 = nullptr; // [] L1 divided by its weight sum, whatever `mean`
  void* ssim = nullptr; // [] 1 - D divided by its weight sum, whatever `mean`

  MutableView map; // [N, C, map height, map width]; excludes all others

  /// grad_target only together with grad_input: SSIM and L1 are symmetric, so
  /// the caller swaps the images for a gradient in the target alone.
  MutableView grad_input; // [N, C, H, W]
  MutableView grad_target; // [N, C, H, W]
};

namespace cpu {

void evaluate(const Problem& problem, const Outputs& outputs);

} // namespace cpu

namespace cuda {

/// `device` is the index of the images' CUDA device; works on its current stream.
void evaluate(const Problem& problem, const Outputs& outputs, int device);

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
