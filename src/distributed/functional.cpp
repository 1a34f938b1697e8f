#include <fused_ssim/distributed.h>

#include "../objective.h"
#include "evaluate.h"

#include <torch/csrc/autograd/graph_task.h>

#include <optional>

namespace fused_ssim::distributed {
namespace {

using detail::Group;
using detail::Objective;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// One call, as a value that torch::autograd::Function hands on.
struct Operation {
  Objective objective;
  bool is_loss;
  Group group;
};

/// As fused_ssim::SSIMFunction with mean or sum: the gradient is computed in the forward
/// call, and scaled in the backward call.
class SplitFunction : public torch::autograd::Function<SplitFunction> {
 public:
  static torch::Tensor forward(
      AutogradContext* context,
      const torch::Tensor& input, // [N, C, h, W] or [C, h, W]
      const torch::Tensor& target, // as input
      const Operation& operation,
      const std::optional<torch::Tensor>& mask) {
    detail::Request request;
    request.value = true;
    request.grad_input = input.requires_grad();
    request.grad_target = target.requires_grad();
    request.wide_gradients = true;
    const auto result = detail::evaluate_split(
        operation.objective,
        input,
        target,
        mask.value_or(torch::Tensor()),
        operation.group,
        request,
        operation.is_loss);
    context->saved_data["type"] = input.scalar_type();
    context->saved_data["name"] = operation.objective.name;
    context->save_for_backward({result.grad_input, result.grad_target});
    return result.value;
  }

  static variable_list backward(
      AutogradContext* context,
      const variable_list& upstream) { // one, []
    TORCH_CHECK(
        !torch::GradMode::is_enabled(),
        context->saved_data["name"].toStringRef(),
        ": expected a backward call without create_graph, but got one with it "
        "(a split "
        "image has no second derivatives)");
    const bool retained = torch::autograd::get_current_graph_task_keep_graph();
    auto gradients = context->get_saved_variables();
    for (auto& gradient : gradients) {
      if (gradient.defined()) {
        gradient = detail::scale(
            gradient,
            upstream[0],
            context->saved_data["type"].toScalarType(),
            !retained);
      }
    }
    return {gradients[0], gradients[1], torch::Tensor(), torch::Tensor()};
  }
};

torch::Tensor call(
    const Operation& operation,
    const torch::Tensor& input, // [N, C, h, W] or [C, h, W]
    const torch::Tensor& target, // as input
    const torch::Tensor& mask) { // see functional.h; may be undefined
  const auto requires_grad = [](const torch::Tensor& tensor) {
    return tensor.defined() && tensor.requires_grad();
  };
  // An undefined image is no argument for autograd; it is refused on all ranks.
  if (torch::GradMode::is_enabled() && input.defined() && target.defined() &&
      (requires_grad(input) || requires_grad(target))) {
    return SplitFunction::apply(
        input,
        target,
        operation,
        mask.defined() ? std::optional<torch::Tensor>(mask) : std::nullopt);
  }
  detail::Request request;
  request.value = true;
  return detail::evaluate_split(
             operation.objective,
             input,
             target,
             mask,
             operation.group,
             request,
             operation.is_loss)
      .value;
}

} // namespace

torch::Tensor ssim(
    const torch::Tensor& input,
    const torch::Tensor& target,
    const c10::intrusive_ptr<c10d::ProcessGroup>& group,
    const SSIMOptions& options,
    const torch::Tensor& mask) {
  Objective objective(options);
  objective.name = "distributed::ssim()";
  return call({objective, /*is_loss=*/false, group}, input, target, mask);
}

torch::Tensor l1_dssim_loss(
    const torch::Tensor& input,
    const torch::Tensor& target,
    const c10::intrusive_ptr<c10d::ProcessGroup>& group,
    const L1DSSIMLossOptions& options,
    const torch::Tensor& mask) {
  const Objective objective(options, "distributed::l1_dssim_loss()");
  return call({objective, /*is_loss=*/true, group}, input, target, mask);
}

functional::L1DSSIMValueAndGrad l1_dssim_value_and_grad(
    const torch::Tensor& input,
    const torch::Tensor& target,
    const c10::intrusive_ptr<c10d::ProcessGroup>& group,
    const L1DSSIMLossOptions& options,
    const torch::Tensor& mask,
    ErrorMap error_map) {
  const Objective objective(options, "distributed::l1_dssim_value_and_grad()");
  detail::Request request;
  request.value = request.log = request.grad_input = true;
  request.error_map = error_map;
  auto result = detail::evaluate_split(
      objective, input, target, mask, group, request, /*is_loss=*/true);
  return {
      result.value,
      result.l1,
      result.ssim,
      result.grad_input,
      result.error_map};
}

} // namespace fused_ssim::distributed
