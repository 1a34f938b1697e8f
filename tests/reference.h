#pragma once

#include <fused_ssim/options.h>

#include <torch/torch.h>

#include <cstdint>

namespace fused_ssim::test {

/// The options of either operator, in the reference's own form.
struct Spec {
  explicit Spec(const SSIMOptions& options);
  explicit Spec(const L1DSSIMLossOptions& options);

  bool is_loss = false;
  double l1_weight = 0, dssim_weight = 0;
  bool crop_l1 = false;
  double smooth_l1_beta = 0;
  std::int64_t window_size;
  double sigma, data_range, k1, k2;
  bool valid;
  bool none, mean; // neither: sum
};

/// The Gaussian window, normalised: [size] float64.
torch::Tensor reference_window(std::int64_t size, double sigma);

/// The map of SSIM, by the textbook formula from the moments of x and y:
/// [N, C, H', W'], or [C, H', W'] for images without batch.
torch::Tensor reference_map(
    const torch::Tensor& x, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& y, // as x
    const Spec& spec);

/// The map of SSIM's factor of contrast and structure, as reference_map.
torch::Tensor reference_contrast_structure(
    const torch::Tensor& x, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& y, // as x
    const Spec& spec);

/// The map of errors, other than kNone, in float64 on the CPU.
torch::Tensor reference_error_map(
    const torch::Tensor& x, // [N, C, H, W] or [C, H, W], any type and device
    const torch::Tensor& y, // as x, or uint8
    const Spec& spec,
    ErrorMap error_map);

/// The operator as a plain composition of tensor operations in the type of `x`.
/// With float64 images it is the reference. With float32 images it is the usual
/// implementation. It is differentiable in both images. A uint8 `y` means
/// y / 255.
torch::Tensor reference(
    const torch::Tensor& x, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& y, // as x
    const Spec& spec,
    const torch::Tensor& mask = {}); // expandable to x, or undefined

/// The values of an image in float64 on the CPU, detached. uint8 becomes
/// y / 255.
torch::Tensor exact(const torch::Tensor& image);

/// The reference in float64 on the CPU, with the gradients of
/// sum(value * upstream) in both images.
struct Expected {
  torch::Tensor value; // [] or map
  torch::Tensor grad_input, grad_target; // as the images
};
Expected expected(
    const torch::Tensor& x, // [N, C, H, W] or [C, H, W], any type and device
    const torch::Tensor& y, // as x, or uint8
    const Spec& spec,
    const torch::Tensor& mask = {},
    const torch::Tensor& upstream = {}); // as the value; undefined: ones

} // namespace fused_ssim::test
