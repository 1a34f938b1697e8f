#include "ms_ssim.h"

#include "composition.h"
#include "on_device.h"
#include "pyramid.h"
#include "views.h"

#include <limits>
#include <utility>

namespace fused_ssim::detail {
namespace {

std::int64_t images_of(const torch::Tensor& input) {
  return input.dim() == 4 ? input.size(0) : 1;
}

using Pair = std::pair<torch::Tensor, torch::Tensor>;

/// Both images of all scales, the finest first.
std::vector<Pair> pyramid_of(const Pair& images, int scales) {
  std::vector<Pair> pyramid = {images};
  std::vector<Halving> halvings;
  while (static_cast<int>(pyramid.size()) < scales) {
    const auto& [input, target] = pyramid.back();
    Halving halving;
    halving.batch = images_of(input);
    halving.channels = input.size(-3);
    halving.height = input.size(-2);
    halving.width = input.size(-1);
    auto sizes = input.sizes().vec();
    for (auto side = sizes.end() - 2; side != sizes.end(); ++side) {
      *side = halved(*side);
    }
    const auto options = scalar_options(input);
    Pair next(torch::empty(sizes, options), torch::empty(sizes, options));
    halving.from[0] = read(input);
    halving.from[1] = read(target);
    halving.to[0] = write(next.first);
    halving.to[1] = write(next.second);
    halvings.push_back(halving);
    pyramid.push_back(std::move(next));
  }
  FUSED_SSIM_ON_DEVICE(
      images.first, halve, halvings.data(), static_cast<int>(halvings.size()));
  return pyramid;
}

/// An empty batch, or images without channels or pixels.
MSSSIMEvaluation of_nothing(
    const Objective& objective,
    const torch::Tensor& input,
    const torch::Tensor& target,
    const Request& request) {
  MSSSIMEvaluation result;
  const auto images = images_of(input);
  const bool none = objective.reduction == Reduction::kNone;
  const double value = objective.reduction == Reduction::kSum && images == 0
      ? 0
      : std::numeric_limits<double>::quiet_NaN();
  result.value = torch::full(
      none && input.dim() == 4 ? torch::IntArrayRef(images)
                               : torch::IntArrayRef(),
      value,
      scalar_options(input));
  result.factors = torch::empty(
      {objective.scales(), images, input.size(-3)}, scalar_options(input));
  if (request.grad_input) {
    result.grads_input.push_back(
        torch::empty_like(input, scalar_options(input)));
  }
  if (request.grad_target) {
    result.grads_target.push_back(
        torch::empty_like(target, scalar_options(input)));
  }
  return result;
}

} // namespace

MSSSIMEvaluation evaluate_ms_ssim(
    const Objective& objective,
    const torch::Tensor& input,
    const torch::Tensor& target,
    const Request& request) {
  const Pair images(resolved(input), resolved(target));
  if (input.numel() == 0) {
    return of_nothing(objective, images.first, images.second, request);
  }
  const auto& x = images.first;
  const int scales = objective.scales();
  const bool none = objective.reduction == Reduction::kNone;
  const bool with_gradient = request.grad_input || request.grad_target;

  Combination combination;
  combination.images = images_of(x);
  combination.channels = x.size(-3);
  combination.scales = scales;
  combination.none = none;
  combination.mean = objective.reduction == Reduction::kMean;
  combination.wide = x.scalar_type() == torch::kFloat64;

  const auto pyramid = pyramid_of(images, scales);
  MSSSIMEvaluation result;
  result.grads_input.resize(request.grad_input ? scales : 0);
  result.grads_target.resize(request.grad_target ? scales : 0);
  std::vector<torch::Tensor> sums(scales);
  Request of_scale;
  of_scale.grad_input = request.grad_input;
  of_scale.grad_target = request.grad_target;
  of_scale.wide_gradients = true;
  for (const auto& pair : pyramid) {
    of_scale.pixels_beside += pair.first.numel();
  }
  // From the coarsest scale on, which alone would not fill a GPU: the next one, which
  // needs nothing of it, takes the rest.
  for (int scale = scales - 1; scale >= 0; --scale) {
    const auto& pair = pyramid[scale];
    of_scale.overlaps_last_call = scale < scales - 1;
    auto here = evaluate(
        objective.at_scale(scale), pair.first, pair.second, {}, of_scale);
    combination.weight[scale] = objective.scale_weights[scale];
    combination.parts[scale] = static_cast<int>(here.plane_sums.size(-1));
    combination.sums[scale] = here.plane_sums.const_data_ptr<double>();
    const auto border = objective.valid ? objective.window_size - 1 : 0;
    combination.count[scale] =
        static_cast<double>(pair.first.size(-2) - border) *
        static_cast<double>(pair.first.size(-1) - border);
    sums[scale] = std::move(here.plane_sums);
    if (request.grad_input) {
      result.grads_input[scale] = std::move(here.grad_input);
    }
    if (request.grad_target) {
      result.grads_target[scale] = std::move(here.grad_target);
    }
  }

  const auto products =
      torch::empty(combination.planes(), x.options().dtype(torch::kFloat64));
  combination.products = products.mutable_data_ptr<double>();
  if (with_gradient) {
    result.factors = torch::empty(
        {scales, combination.images, combination.channels}, scalar_options(x));
    combination.factors = result.factors.mutable_data_ptr();
  }
  result.value = torch::empty(
      none && x.dim() == 4 ? torch::IntArrayRef(combination.images)
                           : torch::IntArrayRef(),
      scalar_options(x));
  combination.value = result.value.mutable_data_ptr();
  FUSED_SSIM_ON_DEVICE(x, combine, combination);
  return result;
}

torch::Tensor descend(
    const std::vector<torch::Tensor>& gradients,
    const torch::Tensor& factors,
    const torch::Tensor& upstream,
    torch::ScalarType type,
    bool overwrite) {
  const auto& finest = gradients.front();
  auto result = overwrite && finest.scalar_type() == type
      ? finest
      : torch::empty_like(finest, finest.options().dtype(type));
  if (result.numel() == 0) {
    return result;
  }
  Descent descent;
  descent.batch = images_of(finest);
  descent.channels = finest.size(-3);
  descent.height = finest.size(-2);
  descent.width = finest.size(-1);
  descent.scales = static_cast<int>(gradients.size());
  for (int scale = 0; scale < descent.scales; ++scale) {
    descent.gradients[scale] = read(gradients[scale]);
  }
  descent.factors = factors.const_data_ptr();
  const auto images_upstream = resolved(upstream);
  if (upstream.defined()) {
    const auto each = images_upstream.expand(descent.batch);
    descent.upstream.data = each.const_data_ptr();
    descent.upstream.stride[0] = each.stride(0);
    descent.upstream.element = element_of(each);
  }
  descent.result = write(result);
  FUSED_SSIM_ON_DEVICE(finest, descend, descent);
  return result;
}

torch::Tensor ms_ssim_composition(
    const Objective& objective,
    const torch::Tensor& input,
    const torch::Tensor& target) {
  const auto type = input.scalar_type() == torch::kFloat64 ? torch::kFloat64
                                                           : torch::kFloat32;
  auto x = as_pixels(input, type), y = as_pixels(target, type);
  torch::Tensor product, vanishes;
  for (int scale = 0; scale < objective.scales(); ++scale) {
    if (scale > 0) {
      const auto half = [](const torch::Tensor& images) {
        return torch::avg_pool2d(
            images,
            /*kernel_size=*/2,
            /*stride=*/2,
            /*padding=*/{images.size(2) % 2, images.size(3) % 2});
      };
      x = half(x);
      y = half(y);
    }
    auto map_objective = objective.at_scale(scale);
    map_objective.reduction = Reduction::kNone;
    const auto mean = composition(map_objective, x, y, {}).mean({2, 3});
    // A power of 0 has an infinite derivative.
    const auto vanishes_here = mean <= 0;
    const auto power =
        mean.masked_fill(vanishes_here, 1).pow(objective.scale_weights[scale]);
    product = scale > 0 ? product * power : power;
    vanishes = scale > 0 ? vanishes.logical_or(vanishes_here) : vanishes_here;
  }
  const auto values = product.masked_fill(vanishes, 0).mean(1); // [N]
  switch (objective.reduction) {
    case Reduction::kMean:
      return values.mean();
    case Reduction::kSum:
      return values.sum();
    default:
      return input.dim() == 4 ? values : values.squeeze(0);
  }
}

} // namespace fused_ssim::detail
