#pragma once

#include "objective.h"

#include <torch/torch.h>

namespace fused_ssim::detail {

/// [N, C, H, W] of `type`; a byte as value / 255.
torch::Tensor as_pixels(
    const torch::Tensor& images, // [N, C, H, W] or [C, H, W]
    torch::ScalarType type);

/// The operator as a composition of differentiable tensor operations, for
/// derivatives of any order (`create_graph`). Slow, and only used for that.
torch::Tensor composition(
    const Objective& objective,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const torch::Tensor& mask); // see functional.h; may be undefined

} // namespace fused_ssim::detail
