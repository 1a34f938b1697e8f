#pragma once

#include "problem.h"

namespace fused_ssim::bench {

/// What the library is measured against and checked with: SSIM and the loss as a
/// plain composition of tensor operations, with separable depthwise convolutions
/// as pytorch-msssim has them. Differentiable in both images. Half types are
/// computed in float32, a uint8 target means target / 255.
torch::Tensor composition_ssim(const Problem& problem);
torch::Tensor composition_loss(const Problem& problem);

} // namespace fused_ssim::bench
