#pragma once

#include "evaluate.h"
#include "objective.h"

#include <torch/torch.h>

#include <vector>

namespace fused_ssim::detail {

/// MS-SSIM of checked arguments; what was not asked for is undefined.
struct MSSSIMEvaluation {
  torch::Tensor value; // [], or [N] for a batch if the reduction is none
  torch::Tensor factors; // [scales, N, C]
  /// Of each scale, the finest first, of its size: the gradients of the means of all
  /// planes. Half types' are float32. Empty where not asked for.
  std::vector<torch::Tensor> grads_input, grads_target;
};

/// NOTE [ Gradient of MS-SSIM ]
///
/// The gradient of a scale's mean in the scale's images comes with the mean, from one
/// pass. Its factor depends on the means of all scales, so it is multiplied later: on
/// the way through the pyramid, by `descend`, which is the one further pass over the
/// finest gradient. The upstream gradient goes there as well. So the forward call
/// leaves the gradients of the scales, and the backward call adds them up.
MSSSIMEvaluation evaluate_ms_ssim(
    const Objective& objective,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const Request& request); // its value and gradients

/// The gradient of the value in one of the images, as `type`. With `overwrite` it takes
/// the memory of the finest scale's gradient if that has the type.
torch::Tensor descend(
    const std::vector<torch::Tensor>& gradients, // of MSSSIMEvaluation
    const torch::Tensor& factors, // [scales, N, C]
    const torch::Tensor& upstream, // [], [N], or undefined: 1
    torch::ScalarType type,
    bool overwrite);

/// MS-SSIM as a composition of differentiable tensor operations, for second
/// derivatives.
torch::Tensor ms_ssim_composition(
    const Objective& objective,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target); // as input

} // namespace fused_ssim::detail
