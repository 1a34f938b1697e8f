#include "ms_ssim_reference.h"

#include <algorithm>
#include <cmath>

namespace fused_ssim::test {
namespace {

/// The means of a scale's maps of SSIM and of the contrast-structure term: [N, C] each.
struct Means {
  torch::Tensor ssim, contrast_structure;
};

Means means_of(
    const torch::Tensor& x, // [N, C, H, W]
    const torch::Tensor& y, // as x
    const MSSSIMOptions& options) {
  const auto size = options.window_size();
  const auto taps = reference_window(size, options.sigma()).to(x.options());
  // One convolution with the full window.
  const auto window = torch::outer(taps, taps).view({1, 1, size, size});
  const bool valid =
      std::holds_alternative<torch::enumtype::kValid>(options.padding());
  const auto blur = [&](const torch::Tensor& image) {
    const auto planes = image.reshape({-1, 1, image.size(2), image.size(3)});
    const auto result =
        torch::conv2d(planes, window, {}, 1, valid ? 0 : size / 2);
    return result.reshape(
        {image.size(0), image.size(1), result.size(2), result.size(3)});
  };
  const double c1 = std::pow(options.k1() * options.data_range(), 2);
  const double c2 = std::pow(options.k2() * options.data_range(), 2);
  const auto mean_x = blur(x), mean_y = blur(y);
  const auto variances =
      blur(x * x + y * y) - mean_x * mean_x - mean_y * mean_y;
  const auto covariance = blur(x * y) - mean_x * mean_y;
  const auto contrast_structure = (2 * covariance + c2) / (variances + c2);
  const auto luminance =
      (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1);
  return {
      (luminance * contrast_structure).mean({2, 3}),
      contrast_structure.mean({2, 3})};
}

/// The images of the next scale.
torch::Tensor halve(const torch::Tensor& images) { // [N, C, H, W]
  const std::vector<std::int64_t> padding = {
      images.size(2) % 2, images.size(3) % 2};
  return torch::avg_pool2d(images, 2, 2, padding);
}

/// The mean of each scale: SSIM at the last one, contrast-structure at the others.
std::vector<torch::Tensor> means_of_scales(
    const torch::Tensor& x, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& y, // as x
    const MSSSIMOptions& options) {
  auto a = x.dim() == 4 ? x : x.unsqueeze(0);
  auto b = x.dim() == 4 ? y : y.unsqueeze(0);
  std::vector<torch::Tensor> result; // [N, C] each
  for (std::size_t scale = 1; scale < options.weights().size(); ++scale) {
    result.push_back(means_of(a, b, options).contrast_structure);
    a = halve(a);
    b = halve(b);
  }
  result.push_back(means_of(a, b, options).ssim);
  return result;
}

} // namespace

double smallest_mean(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const MSSSIMOptions& options) {
  const auto means = means_of_scales(exact(x), exact(y), options);
  return torch::stack(means).abs().min().item<double>();
}

double smallest_difference(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const MSSSIMOptions& options) {
  const auto a = exact(x), b = exact(y);
  auto difference = a.dim() == 4 ? a - b : (a - b).unsqueeze(0);
  double smallest = difference.square().mean().sqrt().item<double>();
  for (std::size_t scale = 1; scale < options.weights().size(); ++scale) {
    difference = halve(difference);
    smallest =
        std::min(smallest, difference.square().mean().sqrt().item<double>());
  }
  const double largest = torch::maximum(a.abs(), b.abs()).max().item<double>();
  return largest > 0 ? smallest / largest : 0;
}

torch::Tensor reference_ms_ssim(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const MSSSIMOptions& options) {
  torch::Tensor product;
  const auto means = means_of_scales(x, y, options);
  for (std::size_t scale = 0; scale < means.size(); ++scale) {
    const auto& mean = means[scale];
    // 0 to the power of a weight has an infinite derivative.
    const auto power = torch::where(
        mean > 0,
        torch::where(mean > 0, mean, torch::ones_like(mean))
            .pow(options.weights()[scale]),
        torch::zeros_like(mean));
    product = scale > 0 ? product * power : power;
  }
  const auto values = product.mean(1);
  if (std::holds_alternative<torch::enumtype::kNone>(options.reduction())) {
    return x.dim() == 4 ? values : values.squeeze(0);
  }
  return std::holds_alternative<torch::enumtype::kMean>(options.reduction())
      ? values.mean()
      : values.sum();
}

Expected expected_ms_ssim(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const MSSSIMOptions& options,
    const torch::Tensor& upstream) {
  const torch::AutoGradMode enable_grad(true);
  const auto a = exact(x).contiguous().clone().requires_grad_();
  const auto b = exact(y).contiguous().clone().requires_grad_();
  const auto value = reference_ms_ssim(a, b, options);
  const auto seed =
      upstream.defined() ? exact(upstream) : torch::ones_like(value.detach());
  const auto gradients = torch::autograd::grad({value}, {a, b}, {seed});
  return {value.detach(), gradients[0], gradients[1]};
}

} // namespace fused_ssim::test
