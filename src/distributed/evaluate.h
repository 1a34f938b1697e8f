#pragma once

// evaluate() of ../evaluate.h for an image split by rows.

#include "../evaluate.h"
#include "call.h"
#include "group.h"

#include <torch/torch.h>

namespace fused_ssim::detail {

/// Collective: checks the arguments on all ranks, then computes what `request` asks for.
/// The scalars are those of the whole image, the gradients and the map of errors those of
/// this rank's rows.
Evaluation evaluate_split(
    const Objective& objective,
    const torch::Tensor& input, // [N, C, h, W] or [C, h, W]
    const torch::Tensor& target, // as input
    const torch::Tensor& mask, // see functional.h; may be undefined
    const Group& group,
    const Request& request,
    bool is_loss); // and not SSIM

} // namespace fused_ssim::detail
