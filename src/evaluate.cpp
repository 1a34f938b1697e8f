#include "evaluate.h"

#include "backend.h"
#include "problem.h"
#include "views.h"

#include <utility>

namespace fused_ssim::detail {

torch::Tensor resolved(const torch::Tensor& tensor) {
  if (tensor.defined() && tensor._is_zerotensor()) {
    return torch::zeros(tensor.sizes(), tensor.options());
  }
  return tensor.defined() ? tensor.resolve_neg() : tensor;
}

torch::Tensor expanded_mask(
    const torch::Tensor& mask,
    const torch::Tensor& input) {
  if (!mask.defined()) {
    return mask;
  }
  const bool has_batch_of_one = mask.dim() > input.dim();
  return (has_batch_of_one ? mask.squeeze(0) : mask).expand_as(input);
}

Evaluation evaluate(
    const Objective& objective,
    const torch::Tensor& input,
    const torch::Tensor& target,
    const torch::Tensor& mask,
    const Request& request) {
  if (request.grad_target && !request.grad_input) {
    // Both terms are symmetric in the images.
    Request swapped = request;
    std::swap(swapped.grad_input, swapped.grad_target);
    auto result = evaluate(objective, target, input, mask, swapped);
    std::swap(result.grad_input, result.grad_target);
    return result;
  }

  const auto x = resolved(input);
  const auto y = resolved(target);
  const auto weight = expanded_mask(resolved(mask), x);
  auto result = allocate(objective, x, y, request);
  if (x.numel() == 0) {
    fill_empty(objective, result);
    return result;
  }
  run(make_problem(objective, x, y, weight),
      make_outputs(objective, request, result),
      x);
  return result;
}

torch::Tensor scale(
    torch::Tensor gradient,
    const torch::Tensor& lazy_factor,
    torch::ScalarType type,
    bool overwrite) {
  const auto factor = resolved(lazy_factor);
  if (gradient.scalar_type() != type) {
    auto result = torch::empty_like(gradient, gradient.options().dtype(type));
    return torch::mul_out(result, gradient, factor);
  }
  if (!overwrite) {
    return gradient * factor;
  }
#if defined(FUSED_SSIM_WITH_CUDA)
  if (gradient.is_cuda()) {
    cuda::scale(
        gradient.mutable_data_ptr(),
        element_of(gradient),
        gradient.numel(),
        factor.const_data_ptr(),
        element_of(factor),
        gradient.get_device());
    return gradient;
  }
#endif
  TORCH_INTERNAL_ASSERT(gradient.is_cpu(), "a CUDA tensor passed the checks");
  if (factor.item<double>() != 1.0) {
    gradient.mul_(factor);
  }
  return gradient;
}

} // namespace fused_ssim::detail
