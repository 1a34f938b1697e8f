#pragma once

#include "problem.h"

namespace fused_ssim::bench {

/// SSIM and the loss as a plain composition of tensor operations. The benchmark
/// times the library against it, and checks the results of the library with it.
/// Its separable depthwise convolutions are those of pytorch-msssim. It is
/// differentiable in both images. Half types are computed in float32, and a
/// uint8 target means target / 255.
torch::Tensor composition_ssim(const Problem& problem);
torch::Tensor composition_loss(const Problem& problem);
torch::Tensor composition_ms_ssim(const Problem& problem);

} // namespace fused_ssim::bench
