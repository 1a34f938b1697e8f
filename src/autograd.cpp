#include <fused_ssim/autograd.h>

#include "checks.h"
#include "composition.h"
#include "evaluate.h"
#include "ms_ssim.h"
#include "ms_ssim_checks.h"

#include <torch/csrc/autograd/graph_task.h>

#include <algorithm>

// NOTE [ Gradient in the forward pass ]
//
// The gradient of a mean or a sum costs little more than its value while the kernels
// have the images at hand. So the forward call computes it, for an upstream gradient
// of 1, and saves it. The backward call multiplies it by the upstream scalar on the
// device. It does so in place, without a copy, unless the graph is retained: then
// another backward call will need it again.
//
// The gradient of a map needs the upstream map. So there the backward call runs the
// kernels, with that map as weights.
//
// With create_graph the gradient has to be differentiable: it is computed again, by a
// composition of tensor operations on the images. For that a node keeps handles of the
// images. A handle is no copy, but it keeps a temporary image alive until the backward
// call, as torch's own losses do. The node notes the images' versions: a change in
// place between forward and backward is harmless where the images are not read again,
// and an error where they are.

namespace fused_ssim {
namespace {

using detail::Objective;
using detail::Reduction;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Image {
  torch::Tensor tensor;
  std::int64_t version = 0;

  Image() = default;
  explicit Image(const torch::Tensor& tensor)
      : tensor(tensor),
        version(has_version(tensor) ? tensor._version() : 0) {}

  static bool has_version(const torch::Tensor& tensor) {
    return tensor.defined() && !tensor.is_inference();
  }
};

struct Saved : torch::CustomClassHolder {
  Objective objective;
  Image input, target, mask;
  /// At forward time; a detach_() since then changes nothing.
  bool input_requires_grad, target_requires_grad;
  bool released = false;

  Saved(
      const Objective& objective,
      const torch::Tensor& input,
      const torch::Tensor& target,
      const torch::Tensor& mask)
      : objective(objective),
        input(input),
        target(target),
        mask(mask),
        input_requires_grad(input.requires_grad()),
        target_requires_grad(target.requires_grad()) {}

  /// Before the images are read again.
  void check() const {
    TORCH_CHECK(
        !released,
        objective.name,
        ": expected one backward call for a graph that is not retained, but "
        "got a second one; pass retain_graph=true to the first");
    for (const auto* image : {&input, &target, &mask}) {
      TORCH_CHECK(
          !Image::has_version(image->tensor) ||
              image->tensor._version() == image->version,
          objective.name,
          ": expected input, target and mask as they were in the forward call, "
          "which this backward call reads again, but got one that was modified "
          "in place since");
    }
  }

  void release() {
    released = true;
    input = target = mask = Image();
  }
};

torch::Tensor forward(
    AutogradContext* context,
    const Objective& objective,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const torch::Tensor& mask) { // see functional.h; may be undefined
  context->saved_data["saved"] = torch::IValue::make_capsule(
      c10::make_intrusive<Saved>(objective, input, target, mask));
  detail::Request request;
  request.value = true;
  if (objective.reduction != Reduction::kNone) {
    request.grad_input = input.requires_grad();
    request.grad_target = target.requires_grad();
    request.wide_gradients = true;
  }
  const auto result = detail::evaluate(objective, input, target, mask, request);
  context->save_for_backward({result.grad_input, result.grad_target});
  return result.value;
}

/// Which of the two gradients this backward call has to deliver.
struct Needed {
  bool input, target;

  Needed(AutogradContext* context, const Saved& saved)
      : input(saved.input_requires_grad && context->needs_input_grad(0)),
        target(saved.target_requires_grad && context->needs_input_grad(1)) {}
};

/// An alias of an image that requires grad: an image used as both input and target
/// gets one gradient for each use. Where the image was detached since the forward
/// call, the alias begins a graph of its own.
torch::Tensor differentiable_alias(const torch::Tensor& image, bool needed) {
  return needed && !image.requires_grad() ? image.detach().requires_grad_()
                                          : image.view_as(image);
}

/// The derivatives in input and target as parts of a graph of their own.
variable_list differentiable_backward(
    AutogradContext* context,
    const Saved& saved,
    const torch::Tensor& upstream) { // as the forward call's result
  saved.check();
  const Needed needed(context, saved);
  const auto x = differentiable_alias(saved.input.tensor, needed.input);
  const auto y = differentiable_alias(saved.target.tensor, needed.target);
  variable_list images;
  if (needed.input) {
    images.push_back(x);
  }
  if (needed.target) {
    images.push_back(y);
  }
  auto gradients = torch::autograd::grad(
      {detail::composition(saved.objective, x, y, saved.mask.tensor)},
      images,
      {upstream},
      /*retain_graph=*/true,
      /*create_graph=*/true);
  variable_list result(2);
  if (needed.input) {
    result[0] = gradients.front();
  }
  if (needed.target) {
    result[1] = gradients.back();
  }
  return result;
}

/// The gradient of a map: that of its sum, weighted by the upstream map.
variable_list map_backward(
    AutogradContext* context,
    const Saved& saved,
    const torch::Tensor& upstream) { // [N, C, H', W'] or [C, H', W']
  saved.check();
  const auto& objective = saved.objective;
  const auto& input = saved.input.tensor;
  const auto& mask = saved.mask.tensor;
  auto weight = upstream;
  if (objective.valid) {
    const auto radius = objective.window_size / 2;
    weight = torch::constant_pad_nd(weight, {radius, radius, radius, radius});
  }
  if (mask.defined()) {
    // The product of two half types would be rounded once more.
    const auto type =
        torch::promote_types(weight.scalar_type(), torch::kFloat32);
    // A weight of 0 counts nothing, not even where the upstream map holds a NaN.
    const auto weights = detail::expanded_mask(mask, input);
    weight = (weight.to(type) * weights).masked_fill(weights == 0, 0);
  }
  const Needed needed(context, saved);
  const auto result = detail::evaluate(
      objective,
      input,
      saved.target.tensor,
      weight,
      {/*value=*/false, /*log=*/false, needed.input, needed.target});
  return {result.grad_input, result.grad_target};
}

variable_list reduced_backward(
    AutogradContext* context,
    const Saved& saved,
    const torch::Tensor& upstream, // []
    bool retained) {
  auto gradients = context->get_saved_variables();
  const auto type = saved.input.tensor.scalar_type();
  for (auto& gradient : gradients) {
    if (gradient.defined()) {
      gradient = detail::scale(gradient, upstream, type, !retained);
    }
  }
  return gradients;
}

/// MS-SSIM's: NOTE [ Gradient of MS-SSIM ] in ms_ssim.h.
variable_list ms_ssim_backward(
    AutogradContext* context,
    const Saved& saved,
    const torch::Tensor& upstream, // [] or [N]
    bool retained) {
  const auto variables = context->get_saved_variables();
  const auto type = saved.input.tensor.scalar_type();
  // The factors, and as many gradients for each image.
  const auto count = (variables.size() - 1) / 2;
  variable_list gradients(2);
  for (std::size_t image = 0; image < 2; ++image) {
    const auto first = variables.begin() + 1 + image * count;
    if (first->defined()) {
      gradients[image] = detail::descend(
          {first, first + count}, variables[0], upstream, type, !retained);
    }
  }
  return gradients;
}

/// An undefined tensor is no argument that torch::autograd::Function takes.
std::optional<torch::Tensor> as_argument(const torch::Tensor& mask) {
  return mask.defined() ? std::optional<torch::Tensor>(mask) : std::nullopt;
}

/// One gradient for each argument of a forward call; those of the options and the mask
/// are undefined.
variable_list backward(
    AutogradContext* context,
    const variable_list& grads,
    std::size_t arguments) {
  const auto saved_holder = context->saved_data["saved"].toCapsule();
  auto& saved = static_cast<Saved&>(*saved_holder);
  const auto upstream = detail::resolved(grads[0]);
  const bool retained = torch::autograd::get_current_graph_task_keep_graph();

  variable_list gradients;
  if (torch::GradMode::is_enabled()) {
    gradients = differentiable_backward(context, saved, upstream);
  } else if (saved.objective.scales() > 0) {
    gradients = ms_ssim_backward(context, saved, upstream, retained);
  } else if (saved.objective.reduction == Reduction::kNone) {
    gradients = map_backward(context, saved, upstream);
  } else {
    gradients = reduced_backward(context, saved, upstream, retained);
  }
  if (!retained) {
    saved.release();
  }
  gradients.resize(arguments);
  return gradients;
}

} // namespace

torch::Tensor SSIMFunction::apply(
    const torch::Tensor& input,
    const torch::Tensor& target,
    const SSIMOptions& options,
    const torch::Tensor& mask) {
  return Function::apply(input, target, options, as_argument(mask));
}

torch::Tensor SSIMFunction::forward(
    AutogradContext* context,
    const torch::Tensor& input,
    const torch::Tensor& target,
    const SSIMOptions& options,
    const std::optional<torch::Tensor>& mask_argument) {
  const auto mask = mask_argument.value_or(torch::Tensor());
  const Objective objective(options);
  detail::check_arguments(objective, input, target, mask);
  return fused_ssim::forward(context, objective, input, target, mask);
}

variable_list SSIMFunction::backward(
    AutogradContext* context,
    variable_list grad_outputs) {
  return fused_ssim::backward(context, grad_outputs, /*arguments=*/4);
}

torch::Tensor L1DSSIMFunction::apply(
    const torch::Tensor& input,
    const torch::Tensor& target,
    const L1DSSIMLossOptions& options,
    const torch::Tensor& mask) {
  return Function::apply(input, target, options, as_argument(mask));
}

torch::Tensor L1DSSIMFunction::forward(
    AutogradContext* context,
    const torch::Tensor& input,
    const torch::Tensor& target,
    const L1DSSIMLossOptions& options,
    const std::optional<torch::Tensor>& mask_argument) {
  const auto mask = mask_argument.value_or(torch::Tensor());
  const Objective objective(options);
  detail::check_loss_arguments(objective, input, target, mask);
  return fused_ssim::forward(context, objective, input, target, mask);
}

variable_list L1DSSIMFunction::backward(
    AutogradContext* context,
    variable_list grad_outputs) {
  return fused_ssim::backward(context, grad_outputs, /*arguments=*/4);
}

torch::Tensor MSSSIMFunction::apply(
    const torch::Tensor& input,
    const torch::Tensor& target,
    const MSSSIMOptions& options) {
  return Function::apply(input, target, options);
}

torch::Tensor MSSSIMFunction::forward(
    AutogradContext* context,
    const torch::Tensor& input,
    const torch::Tensor& target,
    const MSSSIMOptions& options) {
  const Objective objective(options);
  detail::check_ms_ssim_arguments(objective, input, target);
  context->saved_data["saved"] =
      torch::IValue::make_capsule(c10::make_intrusive<Saved>(
          objective, input, target, /*mask=*/torch::Tensor()));
  detail::Request request;
  request.value = true;
  request.grad_input = input.requires_grad();
  request.grad_target = target.requires_grad();
  auto result = detail::evaluate_ms_ssim(objective, input, target, request);
  const auto count =
      std::max(result.grads_input.size(), result.grads_target.size());
  variable_list variables = {result.factors};
  for (auto* gradients : {&result.grads_input, &result.grads_target}) {
    gradients->resize(count);
    variables.insert(variables.end(), gradients->begin(), gradients->end());
  }
  context->save_for_backward(variables);
  return result.value;
}

variable_list MSSSIMFunction::backward(
    AutogradContext* context,
    variable_list grad_outputs) {
  return fused_ssim::backward(context, grad_outputs, /*arguments=*/3);
}

} // namespace fused_ssim
