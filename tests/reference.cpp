#include "reference.h"

#include <utility>

namespace fused_ssim::test {
namespace {

template <typename Options>
void copy_common(Spec& spec, const Options& options) {
  spec.window_size = options.window_size();
  spec.sigma = options.sigma();
  spec.data_range = options.data_range();
  spec.k1 = options.k1();
  spec.k2 = options.k2();
  spec.valid =
      std::holds_alternative<torch::enumtype::kValid>(options.padding());
  spec.none =
      std::holds_alternative<torch::enumtype::kNone>(options.reduction());
  spec.mean =
      std::holds_alternative<torch::enumtype::kMean>(options.reduction());
}

/// [..., H, W] without `border` pixels on each side.
torch::Tensor crop(const torch::Tensor& image, std::int64_t border) {
  return image.narrow(-2, border, image.size(-2) - 2 * border)
      .narrow(-1, border, image.size(-1) - 2 * border);
}

/// Weighted sum or mean. `empty` is the mean if all weights are zero.
torch::Tensor reduce(
    const Spec& spec,
    const torch::Tensor& map,
    const torch::Tensor& weight, // as map
    double empty) {
  const auto sum = (map * weight).sum();
  if (!spec.mean) {
    return sum;
  }
  const auto total = weight.sum();
  const bool nothing = weight.numel() > 0 && total.item<double>() == 0;
  return nothing ? sum + empty : sum / total;
}

/// |x - y|, or smooth L1.
torch::Tensor l1_map(
    const torch::Tensor& x, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& y, // as x
    const Spec& spec) {
  return spec.smooth_l1_beta == 0
      ? (x - y).abs()
      : torch::smooth_l1_loss(x, y, at::Reduction::None, spec.smooth_l1_beta);
}

/// SSIM's factors: of luminance, and of contrast and structure.
std::pair<torch::Tensor, torch::Tensor> factors(
    const torch::Tensor& x, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& y, // as x
    const Spec& spec) {
  const auto window =
      reference_window(spec.window_size, spec.sigma).to(x.options());
  const auto padding = spec.valid ? 0 : spec.window_size / 2;
  using Pair = torch::IntArrayRef;
  const std::vector<std::int64_t> one = {1, 1};
  const auto blur = [&](const torch::Tensor& image) {
    const auto planes = image.reshape({-1, 1, image.size(-2), image.size(-1)});
    const auto rows = torch::conv2d(
        planes, window.view({1, 1, 1, -1}), {}, one, Pair({0, padding}));
    const auto both = torch::conv2d(
        rows, window.view({1, 1, -1, 1}), {}, one, Pair({padding, 0}));
    auto sizes = image.sizes().vec();
    sizes[sizes.size() - 2] = both.size(-2);
    sizes[sizes.size() - 1] = both.size(-1);
    return both.reshape(sizes);
  };
  const double c1 = std::pow(spec.k1 * spec.data_range, 2);
  const double c2 = std::pow(spec.k2 * spec.data_range, 2);
  const auto mean_x = blur(x);
  const auto mean_y = blur(y);
  const auto variance_x = blur(x * x) - mean_x * mean_x;
  const auto variance_y = blur(y * y) - mean_y * mean_y;
  const auto covariance = blur(x * y) - mean_x * mean_y;
  return {
      (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1),
      (2 * covariance + c2) / (variance_x + variance_y + c2)};
}

} // namespace

Spec::Spec(const SSIMOptions& options) {
  copy_common(*this, options);
}

Spec::Spec(const L1DSSIMLossOptions& options)
    : is_loss(true),
      l1_weight(options.l1_weight()),
      dssim_weight(options.dssim_weight()),
      crop_l1(options.crop_l1()),
      smooth_l1_beta(options.smooth_l1_beta()) {
  copy_common(*this, options);
}

torch::Tensor reference_window(std::int64_t size, double sigma) {
  const auto distance =
      torch::arange(size, torch::kFloat64) - static_cast<double>(size / 2);
  const auto weights = (-(distance / sigma).square() / 2).exp();
  return weights / weights.sum();
}

torch::Tensor reference_map(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const Spec& spec) {
  const auto [luminance, contrast_structure] = factors(x, y, spec);
  return luminance * contrast_structure;
}

torch::Tensor reference_contrast_structure(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const Spec& spec) {
  return factors(x, y, spec).second;
}

torch::Tensor reference_error_map(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const Spec& spec,
    ErrorMap error_map) {
  const auto a = exact(x), b = exact(y);
  switch (error_map) {
    case ErrorMap::kDSSIM:
      return 1 - reference_map(a, b, spec);
    case ErrorMap::kContrastStructure:
      return 1 - reference_contrast_structure(a, b, spec);
    default:
      const auto border = spec.valid ? spec.window_size / 2 : 0;
      return spec.l1_weight * crop(l1_map(a, b, spec), border) +
          spec.dssim_weight * (1 - reference_map(a, b, spec));
  }
}

torch::Tensor reference(
    const torch::Tensor& x,
    const torch::Tensor& y_or_bytes,
    const Spec& spec,
    const torch::Tensor& mask) {
  const auto y = y_or_bytes.scalar_type() == torch::kUInt8
      ? y_or_bytes.to(x.scalar_type()) / 255
      : y_or_bytes;
  const auto weight = mask.defined()
      ? mask.to(x.scalar_type()).expand_as(x)
      : torch::ones_like(x, x.options().requires_grad(false));
  const auto border = spec.valid ? spec.window_size / 2 : 0;
  const auto map_weight = crop(weight, border);
  const auto ssim = reference_map(x, y, spec);
  if (!spec.is_loss) {
    return spec.none ? ssim * map_weight
                     : reduce(spec, ssim, map_weight, /*empty=*/1);
  }
  const auto l1 = l1_map(x, y, spec);
  if (spec.none) {
    return map_weight *
        (spec.l1_weight * crop(l1, border) + spec.dssim_weight * (1 - ssim));
  }
  const auto l1_border = spec.crop_l1 ? border : 0;
  return spec.l1_weight *
      reduce(spec, crop(l1, l1_border), crop(weight, l1_border), 0) +
      spec.dssim_weight * reduce(spec, 1 - ssim, map_weight, /*empty=*/0);
}

torch::Tensor exact(const torch::Tensor& image) {
  auto values = image.detach().to(torch::kCPU, torch::kFloat64);
  return image.scalar_type() == torch::kUInt8 ? values / 255 : values;
}

Expected expected(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const Spec& spec,
    const torch::Tensor& mask,
    const torch::Tensor& upstream) {
  const torch::AutoGradMode enable_grad(true);
  const auto leaf = [](const torch::Tensor& image) {
    return exact(image).contiguous().clone().requires_grad_();
  };
  const auto a = leaf(x);
  const auto b = leaf(y);
  const auto value = reference(a, b, spec, mask.defined() ? exact(mask) : mask);
  const auto seed =
      upstream.defined() ? exact(upstream) : torch::ones_like(value.detach());
  const auto gradients = torch::autograd::grad({value}, {a, b}, {seed});
  return {value.detach(), gradients[0], gradients[1]};
}

} // namespace fused_ssim::test
