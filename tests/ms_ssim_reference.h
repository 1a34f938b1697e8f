#pragma once

#include "reference.h"

#include <fused_ssim/options.h>

#include <torch/torch.h>

namespace fused_ssim::test {

/// MS-SSIM as a plain composition of tensor operations, by the textbook formula from the
/// moments of x and y, and with torch's pooling. It is differentiable in both images.
torch::Tensor reference_ms_ssim(
    const torch::Tensor& x, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& y, // as x
    const MSSSIMOptions& options);

/// The smallest |mean| of all scales, images and channels. The nearer it is to 0, the more
/// an error of the mean counts.
double smallest_mean(
    const torch::Tensor& x, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& y, // as x
    const MSSSIMOptions& options);

/// The smallest root of a mean square of x - y of all scales, relative to the largest
/// |pixel|. Coarse images are rounded, so the smaller it is, the fewer digits their
/// difference has.
double smallest_difference(
    const torch::Tensor& x, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& y, // as x
    const MSSSIMOptions& options);

/// The reference in float64 on the CPU, with the gradients of
/// sum(value * upstream) in both images.
Expected expected_ms_ssim(
    const torch::Tensor& x, // [N, C, H, W] or [C, H, W], any type and device
    const torch::Tensor& y, // as x, or uint8
    const MSSSIMOptions& options,
    const torch::Tensor& upstream = {}); // as the value; undefined: ones

} // namespace fused_ssim::test
