#include "operations.h"

#include "composition.h"

namespace fused_ssim::bench {

namespace F = fused_ssim::functional;

std::int64_t Result::bytes() const {
  std::int64_t sum = 0;
  for (const auto& tensor :
       {value, grad_input, grad_target, image, error_map}) {
    sum += tensor.defined() ? static_cast<std::int64_t>(tensor.nbytes()) : 0;
  }
  return sum;
}

Result copy(const Problem& problem) {
  const torch::NoGradGuard no_grad;
  return {{}, {}, {}, problem.input.clone()};
}

Result value(const Problem& problem) {
  const torch::NoGradGuard no_grad;
  return {
      F::ssim(
          problem.input, problem.target, problem.ssim_options(), problem.mask),
      {},
      {},
      {}};
}

Result value_and_grad(const Problem& problem) {
  const auto result = F::l1_dssim_value_and_grad(
      problem.input,
      problem.target,
      problem.options,
      problem.mask,
      problem.error_map);
  return {result.loss, result.grad, {}, {}, result.error_map};
}

Result autograd_step(const Problem& problem) {
  L1DSSIMLoss loss(problem.options);
  return step(problem, [&] {
    return loss(problem.input, problem.target, problem.mask);
  });
}

Result ssim_step(const Problem& problem) {
  const auto options = problem.ssim_options();
  return step(problem, [&] {
    return 1 - F::ssim(problem.input, problem.target, options);
  });
}

Result ms_ssim_step(const Problem& problem) {
  const auto options = problem.ms_ssim_options();
  return step(problem, [&] {
    return 1 - F::ms_ssim(problem.input, problem.target, options);
  });
}

Result ms_ssim_value_and_grad(const Problem& problem) {
  const auto result = F::ms_ssim_value_and_grad(
      problem.input, problem.target, problem.ms_ssim_options());
  return {result.value, result.grad, {}, {}};
}

Result composition_value(const Problem& problem) {
  const torch::NoGradGuard no_grad;
  return {composition_ssim(problem), {}, {}, {}};
}

Result composition_step(const Problem& problem) {
  return step(problem, [&] { return composition_loss(problem); });
}

Result composition_ssim_step(const Problem& problem) {
  return step(problem, [&] { return 1 - composition_ssim(problem); });
}

Result composition_ms_ssim_value_and_grad(const Problem& problem) {
  return step(problem, [&] { return composition_ms_ssim(problem); });
}

Result composition_ms_ssim_step(const Problem& problem) {
  return step(problem, [&] { return 1 - composition_ms_ssim(problem); });
}

} // namespace fused_ssim::bench
