#include "composition.h"

#include <cmath>
#include <utility>

namespace fused_ssim::bench {
namespace {

torch::Tensor gaussian(std::int64_t size, double sigma) {
  const auto distance =
      torch::arange(size, torch::kFloat64) - static_cast<double>(size / 2);
  const auto weights = (-(distance / sigma).square() / 2).exp();
  return weights / weights.sum();
}

/// The image with a batch dimension, in the type of the computation.
torch::Tensor prepare(const torch::Tensor& image, torch::ScalarType type) {
  // Divided in float64 and then rounded: on CUDA, a float32 division by 255 is not
  // correctly rounded, and one pixel's |x - y| may then have the other sign.
  auto result = image.scalar_type() == torch::kUInt8
      ? (image.to(torch::kFloat64) / 255).to(type)
      : image.to(type);
  return result.dim() == 3 ? result.unsqueeze(0) : result;
}

struct Prepared {
  explicit Prepared(const Problem& problem) {
    const auto type = problem.input.scalar_type() == torch::kFloat64
        ? torch::kFloat64
        : torch::kFloat32;
    x = prepare(problem.input, type);
    y = prepare(problem.target, type);
  }
  torch::Tensor x, y; // [N, C, H, W]
};

/// The maps of SSIM's two factors, luminance and contrast-structure.
template <typename Options>
std::pair<torch::Tensor, torch::Tensor> maps(
    const torch::Tensor& x, // [N, C, H, W]
    const torch::Tensor& y, // [N, C, H, W]
    const Options& options) {
  const auto channels = x.size(1);
  const auto size = options.window_size();
  const auto window = gaussian(size, options.sigma()).to(x.options());
  const auto across = window.view({1, 1, 1, size}).repeat({channels, 1, 1, 1});
  const auto down = across.transpose(2, 3).contiguous();
  const auto padding =
      std::holds_alternative<torch::enumtype::kSame>(options.padding())
      ? size / 2
      : 0;
  const auto blur = [&](const torch::Tensor& image) {
    using Pair = std::vector<std::int64_t>;
    const Pair ones = {1, 1};
    const auto rows = torch::conv2d(
        image, across, {}, ones, Pair{0, padding}, ones, channels);
    return torch::conv2d(
        rows, down, {}, ones, Pair{padding, 0}, ones, channels);
  };
  const double c1 = std::pow(options.k1() * options.data_range(), 2);
  const double c2 = std::pow(options.k2() * options.data_range(), 2);
  const auto mean_x = blur(x);
  const auto mean_y = blur(y);
  const auto mean_xx = mean_x * mean_x;
  const auto mean_yy = mean_y * mean_y;
  const auto mean_xy = mean_x * mean_y;
  const auto variance_x = blur(x * x) - mean_xx;
  const auto variance_y = blur(y * y) - mean_yy;
  const auto covariance = blur(x * y) - mean_xy;
  return {
      (2 * mean_xy + c1) / (mean_xx + mean_yy + c1),
      (2 * covariance + c2) / (variance_x + variance_y + c2)};
}

torch::Tensor ssim_map(
    const torch::Tensor& x, // [N, C, H, W]
    const torch::Tensor& y, // [N, C, H, W]
    const L1DSSIMLossOptions& options) {
  const auto [luminance, contrast_structure] = maps(x, y, options);
  return luminance * contrast_structure;
}

torch::Tensor reduce(const torch::Tensor& map, const Problem& problem) {
  const auto& mask = problem.mask;
  if (std::holds_alternative<torch::enumtype::kNone>(
          problem.options.reduction())) {
    const auto& result = mask.defined() ? map * mask : map;
    return problem.input.dim() == 3 ? result.squeeze(0) : result;
  }
  if (std::holds_alternative<torch::enumtype::kSum>(
          problem.options.reduction())) {
    return (mask.defined() ? map * mask : map).sum();
  }
  return mask.defined() ? (map * mask).sum() / mask.expand_as(map).sum()
                        : map.mean();
}

} // namespace

torch::Tensor composition_ssim(const Problem& problem) {
  const Prepared prepared(problem);
  return reduce(ssim_map(prepared.x, prepared.y, problem.options), problem);
}

torch::Tensor composition_loss(const Problem& problem) {
  const auto& options = problem.options;
  const Prepared prepared(problem);
  const double beta = options.smooth_l1_beta();
  // With beta 0 the gradient of smooth_l1_loss is NaN or -1 where pixels are equal.
  const auto l1 = reduce(
      beta > 0 ? torch::smooth_l1_loss(
                     prepared.x, prepared.y, at::Reduction::None, beta)
               : torch::l1_loss(prepared.x, prepared.y, at::Reduction::None),
      problem);
  const auto dssim =
      reduce(1 - ssim_map(prepared.x, prepared.y, options), problem);
  return options.l1_weight() * l1 + options.dssim_weight() * dssim;
}

torch::Tensor composition_ms_ssim(const Problem& problem) {
  const auto options = problem.ms_ssim_options();
  auto [x, y] = Prepared(problem);
  torch::Tensor product;
  const auto& weights = options.weights();
  for (std::size_t scale = 0; scale < weights.size(); ++scale) {
    if (scale > 0) {
      const auto half = [](const torch::Tensor& image) {
        return torch::avg_pool2d(
            image, 2, 2, {image.size(2) % 2, image.size(3) % 2});
      };
      x = half(x);
      y = half(y);
    }
    const auto [luminance, contrast_structure] = maps(x, y, options);
    const auto map = scale + 1 < weights.size()
        ? contrast_structure
        : luminance * contrast_structure;
    const auto power = map.mean({2, 3}).relu().pow(weights[scale]);
    product = scale > 0 ? product * power : power;
  }
  const auto values = product.mean(1);
  return std::holds_alternative<torch::enumtype::kSum>(options.reduction())
      ? values.sum()
      : values.mean();
}

} // namespace fused_ssim::bench
