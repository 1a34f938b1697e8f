#include "evaluate.h"

#include "on_device.h"
#include "views.h"
#include "window.h"

#include <limits>
#include <utility>
#include <vector>

namespace fused_ssim::detail {
namespace {

/// The image, `margin` pixels less on each side.
Region region_within(const torch::Tensor& image, std::int64_t margin) {
  return {margin, image.size(-2) - margin, margin, image.size(-1) - margin};
}

} // namespace

std::vector<std::int64_t> map_sizes(
    const Objective& objective,
    const torch::Tensor& input) {
  auto sizes = input.sizes().vec();
  if (objective.valid) {
    sizes[sizes.size() - 2] -= objective.window_size - 1;
    sizes[sizes.size() - 1] -= objective.window_size - 1;
  }
  return sizes;
}

ErrorTerms error_terms(ErrorMap error_map, const Terms& terms) {
  switch (error_map) {
    case ErrorMap::kLoss:
      return {terms.l1_weight, terms.dssim_weight, 0};
    case ErrorMap::kDSSIM:
      return {0, 1, 0};
    case ErrorMap::kContrastStructure:
      return {0, 0, 1};
    default:
      return {};
  }
}

Evaluation allocate(
    const Objective& objective,
    const torch::Tensor& input,
    const torch::Tensor& target,
    const Request& request) {
  Evaluation result;
  if (request.value) {
    result.value = objective.reduction == Reduction::kNone
        ? torch::empty(map_sizes(objective, input), input.options())
        : torch::empty({}, scalar_options(input));
  }
  if (request.log) {
    result.l1 = torch::empty({}, scalar_options(input));
    result.ssim = torch::empty({}, scalar_options(input));
  }
  const auto gradient_options =
      request.wide_gradients ? scalar_options(input) : input.options();
  if (request.grad_input) {
    result.grad_input = torch::empty_like(input, gradient_options);
  }
  if (request.grad_target) {
    result.grad_target = torch::empty_like(target, gradient_options);
  }
  if (request.error_map != ErrorMap::kNone) {
    result.error_map =
        torch::empty(map_sizes(objective, input), input.options());
  }
  return result;
}

void fill_empty(const Objective& objective, Evaluation& result) {
  const auto nan = std::numeric_limits<double>::quiet_NaN();
  if (result.value.defined()) {
    result.value.fill_(objective.reduction == Reduction::kSum ? 0.0 : nan);
  }
  if (result.l1.defined()) {
    result.l1.fill_(nan);
    result.ssim.fill_(nan);
  }
}

Problem make_problem(
    const Objective& objective,
    const torch::Tensor& input,
    const torch::Tensor& target,
    const torch::Tensor& weight) {
  Problem problem;
  problem.batch = input.dim() == 4 ? input.size(0) : 1;
  problem.channels = input.size(-3);
  problem.height = input.size(-2);
  problem.width = input.size(-1);
  problem.input = read(input);
  problem.target = read(target);
  if (weight.defined()) {
    problem.weight = read(weight);
  }
  problem.window = gaussian_window(objective.window_size, objective.sigma);
  problem.constants = input.scalar_type() == torch::kFloat64
      ? constants_of<double>(objective)
      : constants_of<float>(objective);
  problem.terms = objective.terms;
  problem.mean = objective.reduction == Reduction::kMean;
  problem.per_plane = objective.per_plane;
  problem.own_region = region_within(input, 0);
  problem.map_region =
      region_within(input, objective.valid ? problem.window.radius : 0);
  problem.crop_l1 = objective.crop_l1;
  return problem;
}

void* scalar_data(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.mutable_data_ptr() : nullptr;
}

Outputs make_outputs(
    const Objective& objective,
    const Request& request,
    const Evaluation& result) {
  Outputs outputs;
  if (result.value.defined() && objective.reduction == Reduction::kNone) {
    outputs.map = write(result.value);
  } else {
    outputs.value = scalar_data(result.value);
  }
  outputs.l1 = scalar_data(result.l1);
  outputs.ssim = scalar_data(result.ssim);
  if (result.grad_input.defined()) {
    outputs.grad_input = write(result.grad_input);
  }
  if (result.grad_target.defined()) {
    outputs.grad_target = write(result.grad_target);
  }
  if (result.error_map.defined()) {
    outputs.error_map = write(result.error_map);
    outputs.error = error_terms(request.error_map, objective.terms);
  }
  return outputs;
}

void run(
    const Problem& problem,
    const Outputs& outputs,
    const torch::Tensor& input) {
  FUSED_SSIM_ON_DEVICE(input, run, problem, outputs);
}

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
  auto problem = make_problem(objective, x, y, weight);
  problem.overlaps_last_call = request.overlaps_last_call;
  problem.pixels_beside = request.pixels_beside;
  auto outputs = make_outputs(objective, request, result);
  if (objective.per_plane) {
    outputs.plane_parts = FUSED_SSIM_ON_DEVICE(x, plane_parts, problem);
    result.plane_sums = torch::empty(
        {problem.batch, problem.channels, outputs.plane_parts},
        x.options().dtype(torch::kFloat64));
    outputs.plane_sums = result.plane_sums.mutable_data_ptr<double>();
  }
  run(problem, outputs, x);
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
  require_cpu(gradient);
  if (factor.item<double>() != 1.0) {
    gradient.mul_(factor);
  }
  return gradient;
}

} // namespace fused_ssim::detail
