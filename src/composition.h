#pragma once

#include "objective.h"

#include <torch/torch.h>

namespace fused_ssim::detail {

/// The operator as a composition of differentiable tensor operations, for
/// derivatives of any order (`create_graph`). Slow, and only used for that.
torch::Tensor composition(
    const Objective& objective,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const torch::Tensor& mask); // see functional.h; may be undefined

} // namespace fused_ssim::detail
