#pragma once

// From tensors to what a backend takes: the problem, the results, and where to put them.

#include "backend.h"
#include "evaluate.h"

#include <torch/torch.h>

namespace fused_ssim::detail {

/// What `request` asks for, not yet written.
Evaluation allocate(
    const Objective& objective,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const Request& request);

/// An empty batch: as torch's own losses, a mean of nothing is NaN, a sum 0.
void fill_empty(const Objective& objective, Evaluation& result);

/// The problem of a whole image.
Problem make_problem(
    const Objective& objective,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const torch::Tensor& weight); // as input, or undefined

/// Null for an undefined tensor.
void* scalar_data(const torch::Tensor& tensor); // []

/// The memory of `result`.
Outputs make_outputs(
    const Objective& objective,
    const Request& request,
    const Evaluation& result);

/// Runs the kernels of the device that `input` is on.
void run(
    const Problem& problem,
    const Outputs& outputs,
    const torch::Tensor& input);

} // namespace fused_ssim::detail
