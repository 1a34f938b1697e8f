#include <fused_ssim/functional.h>

#include <fused_ssim/autograd.h>

#include "checks.h"
#include "evaluate.h"
#include "ms_ssim.h"
#include "ms_ssim_checks.h"

namespace fused_ssim {

// Here, since a file of its own would take 5 s more to compile.
L1DSSIMLossOptions::L1DSSIMLossOptions(double lambda_dssim)
    : l1_weight_(1 - lambda_dssim),
      dssim_weight_(lambda_dssim) {
  detail::check_lambda(lambda_dssim);
}

} // namespace fused_ssim

namespace fused_ssim::functional {
namespace {

using detail::Objective;

bool needs_gradient(const torch::Tensor& input, const torch::Tensor& target) {
  return torch::GradMode::is_enabled() &&
      (input.requires_grad() || target.requires_grad());
}

/// Inference: nothing is saved, only the value is computed.
torch::Tensor value_of(
    const Objective& objective,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const torch::Tensor& mask) { // see functional.h; may be undefined
  detail::Request request;
  request.value = true;
  return detail::evaluate(objective, input, target, mask, request).value;
}

} // namespace

torch::Tensor ssim(
    const torch::Tensor& input,
    const torch::Tensor& target,
    const SSIMOptions& options,
    const torch::Tensor& mask) {
  if (needs_gradient(input, target)) {
    return SSIMFunction::apply(input, target, options, mask);
  }
  const Objective objective(options);
  detail::check_arguments(objective, input, target, mask);
  return value_of(objective, input, target, mask);
}

torch::Tensor l1_dssim_loss(
    const torch::Tensor& input,
    const torch::Tensor& target,
    const L1DSSIMLossOptions& options,
    const torch::Tensor& mask) {
  if (needs_gradient(input, target)) {
    return L1DSSIMFunction::apply(input, target, options, mask);
  }
  const Objective objective(options);
  detail::check_loss_arguments(objective, input, target, mask);
  return value_of(objective, input, target, mask);
}

L1DSSIMValueAndGrad l1_dssim_value_and_grad(
    const torch::Tensor& input,
    const torch::Tensor& target,
    const L1DSSIMLossOptions& options,
    const torch::Tensor& mask,
    ErrorMap error_map) {
  const Objective objective(options, "l1_dssim_value_and_grad()");
  detail::check_reduces(objective);
  detail::check_error_map(objective, error_map);
  detail::check_loss_arguments(objective, input, target, mask);
  const torch::NoGradGuard no_grad;
  detail::Request request;
  request.value = request.log = request.grad_input = true;
  request.error_map = error_map;
  auto result = detail::evaluate(objective, input, target, mask, request);
  return {
      result.value,
      result.l1,
      result.ssim,
      result.grad_input,
      result.error_map};
}

torch::Tensor ms_ssim(
    const torch::Tensor& input,
    const torch::Tensor& target,
    const MSSSIMOptions& options) {
  if (needs_gradient(input, target)) {
    return MSSSIMFunction::apply(input, target, options);
  }
  const Objective objective(options);
  detail::check_ms_ssim_arguments(objective, input, target);
  detail::Request request;
  request.value = true;
  return detail::evaluate_ms_ssim(objective, input, target, request).value;
}

ValueAndGrad ms_ssim_value_and_grad(
    const torch::Tensor& input,
    const torch::Tensor& target,
    const MSSSIMOptions& options) {
  const Objective objective(options, "ms_ssim_value_and_grad()");
  detail::check_reduces(objective);
  detail::check_ms_ssim_arguments(objective, input, target);
  const torch::NoGradGuard no_grad;
  detail::Request request;
  request.value = request.grad_input = true;
  const auto result =
      detail::evaluate_ms_ssim(objective, input, target, request);
  return {
      result.value,
      detail::descend(
          result.grads_input,
          result.factors,
          /*upstream=*/{},
          input.scalar_type(),
          /*overwrite=*/true)};
}

} // namespace fused_ssim::functional
