#pragma once

#include "problem.h"

namespace fused_ssim::bench {

/// The results of an operation; undefined where it computes none.
struct Result {
  torch::Tensor value; // [], or the map as the images
  torch::Tensor grad_input, grad_target; // as the images
  torch::Tensor image; // the copy
  torch::Tensor error_map = {}; // where the problem asks for one

  /// Bytes of the defined tensors.
  std::int64_t bytes() const;
};

/// Each is one call, from the images to the result.
using Operation = Result (*)(const Problem& problem);

Result copy(const Problem& problem);
Result value(const Problem& problem);
Result value_and_grad(const Problem& problem);
Result autograd_step(const Problem& problem);
Result ssim_step(const Problem& problem); // of 1 - SSIM
Result ms_ssim_value_and_grad(const Problem& problem);
Result ms_ssim_step(const Problem& problem); // of 1 - MS-SSIM
Result composition_value(const Problem& problem);
Result composition_step(const Problem& problem);
Result composition_ssim_step(const Problem& problem);
Result composition_ms_ssim_value_and_grad(const Problem& problem);
Result composition_ms_ssim_step(const Problem& problem);

/// Forward and backward of `loss`; the gradients are taken from the images.
template <typename Loss>
Result step(const Problem& problem, const Loss& loss) {
  torch::Tensor input = problem.input, target = problem.target;
  const torch::Tensor value = loss();
  // A map's upstream gradient: that of its mean, as a tensor of its own.
  if (value.dim() > 0) {
    value.backward(
        at::full_like(value, 1.0 / static_cast<double>(value.numel())));
  } else {
    value.backward();
  }
  const Result result = {value.detach(), input.grad(), target.grad(), {}};
  input.mutable_grad() = torch::Tensor();
  if (target.requires_grad()) {
    target.mutable_grad() = torch::Tensor();
  }
  return result;
}

} // namespace fused_ssim::bench
