#include "composition.h"

#include "evaluate.h"
#include "ms_ssim.h"
#include "window.h"

namespace fused_ssim::detail {
namespace {

/// Separable blur of each of `images`, only windows inside it.
torch::Tensor blur(
    const torch::Tensor& images, // [M, 1, H, W]
    const torch::Tensor& taps) { // [window_size]
  return torch::conv2d(
      torch::conv2d(images, taps.view({1, 1, 1, -1})),
      taps.view({1, 1, -1, 1}));
}

torch::Tensor taps_of(const Objective& objective, const torch::Tensor& like) {
  const auto window = gaussian_window(objective.window_size, objective.sigma);
  std::vector<double> taps;
  for (int k = -window.radius; k <= window.radius; ++k) {
    taps.push_back(window.taps[std::abs(k)]);
  }
  return torch::tensor(taps, torch::kFloat64).to(like.options());
}

torch::Tensor as_batch(
    const torch::Tensor& images) { // [N, C, H, W] or [C, H, W]
  return images.dim() == 4 ? images : images.unsqueeze(0);
}

/// The inner region of [..., H, W], `radius` pixels from each border.
torch::Tensor crop(const torch::Tensor& images, std::int64_t radius) {
  return images.slice(-2, radius, images.size(-2) - radius)
      .slice(-1, radius, images.size(-1) - radius);
}

/// 1 - SSIM by NOTE [ Sum and difference ] in ssim_math.h, without pivots.
torch::Tensor dssim_map(
    const Objective& objective,
    const Constants& constants,
    const torch::Tensor& s, // [N, C, H, W] x + y
    const torch::Tensor& d) { // [N, C, H, W] x - y
  const auto radius = objective.window_size / 2;
  const auto taps = taps_of(objective, s);
  const auto blurred = [&](const torch::Tensor& images) {
    auto planes = images.reshape({-1, 1, s.size(2), s.size(3)});
    if (!objective.valid) {
      planes = torch::constant_pad_nd(planes, {radius, radius, radius, radius});
    }
    const auto result = blur(planes, taps);
    return result.view({s.size(0), s.size(1), result.size(2), result.size(3)});
  };
  const double two_c1 = 2 * constants.c1, two_c2 = 2 * constants.c2;
  const auto ms = blurred(s);
  const auto md = blurred(d);
  const auto vs = blurred(s * s) - ms * ms;
  const auto vd = blurred(d * d) - md * md;
  const auto ms2 = ms * ms;
  const auto md2 = md * md;
  return 1 -
      (ms2 - md2 + two_c1) / (ms2 + md2 + two_c1) * (vs - vd + two_c2) /
      (vs + vd + two_c2);
}

/// map * weight, and 0 under a weight of 0.
torch::Tensor weighted(
    const torch::Tensor& map, // [N, C, H, W]
    const torch::Tensor& weight) { // as map
  return (map * weight).masked_fill(weight == 0, 0);
}

/// Weighted mean, or sum, of a map.
torch::Tensor reduce(
    const Objective& objective,
    const torch::Tensor& map, // [N, C, H, W]
    const torch::Tensor& weight) { // as map
  const auto sum = weighted(map, weight).sum();
  if (objective.reduction == Reduction::kSum) {
    return sum;
  }
  const auto weight_sum = weight.sum();
  // If all weights are 0, the sum, the mean and its derivatives are 0.
  return sum / weight_sum.masked_fill(weight_sum == 0, 1);
}

/// The pixels that count: those of a positive weight, and all pixels of the windows of a
/// positive weight.
torch::Tensor counted_pixels(
    const torch::Tensor& weight, // [N, C, H, W]
    std::int64_t radius,
    bool valid) {
  const auto counts = weight.detach() > 0;
  auto windows = counts.to(torch::kFloat32);
  if (valid) {
    windows = torch::constant_pad_nd(
        crop(windows, radius), {radius, radius, radius, radius});
  }
  const auto reached =
      torch::max_pool2d(windows, 2 * radius + 1, /*stride=*/1, radius) > 0;
  return counts.logical_or(reached);
}

} // namespace

torch::Tensor as_pixels(const torch::Tensor& images, torch::ScalarType type) {
  const auto values = as_batch(images).to(type);
  return images.scalar_type() == torch::kUInt8 ? values / 255 : values;
}

torch::Tensor composition(
    const Objective& objective,
    const torch::Tensor& input,
    const torch::Tensor& target,
    const torch::Tensor& mask) {
  if (objective.scales() > 0) {
    return ms_ssim_composition(objective, input, target);
  }
  const auto type = input.scalar_type() == torch::kFloat64 ? torch::kFloat64
                                                           : torch::kFloat32;
  const auto constants = type == torch::kFloat64
      ? constants_of<double>(objective)
      : constants_of<float>(objective);
  const auto radius = objective.window_size / 2;
  const bool batched = input.dim() == 4;
  // In units of constants.unit, as in the kernels.
  auto x = as_pixels(input, type) * (1 / constants.unit);
  auto y = as_pixels(target, type) * (1 / constants.unit);
  auto weight = torch::ones_like(x, x.options());
  if (mask.defined()) {
    weight = as_batch(expanded_mask(mask, input)).to(type);
    // A NaN that does not count would come back as 0 * NaN.
    const auto ignored =
        counted_pixels(weight, radius, objective.valid).logical_not();
    x = x.masked_fill(ignored, 0);
    y = y.masked_fill(ignored, 0);
  }
  const auto inner = [&](const torch::Tensor& images) {
    return objective.valid ? crop(images, radius) : images;
  };

  const auto& terms = objective.terms;
  const bool is_map = objective.reduction == Reduction::kNone;
  const auto d = x - y;
  auto value = torch::zeros(
      is_map ? inner(x).sizes() : torch::IntArrayRef(), x.options());
  if (terms.l1_weight != 0) {
    const double beta = terms.smooth_l1_beta / constants.unit;
    const auto size = beta == 0
        ? d.abs()
        : torch::smooth_l1_loss(x, y, at::Reduction::None, beta);
    const auto l1 = size * constants.unit;
    value = value +
        terms.l1_weight *
            (is_map ? inner(l1)
                 : objective.crop_l1
                 ? reduce(objective, inner(l1), inner(weight))
                 : reduce(objective, l1, weight));
  }
  if (terms.dssim_weight != 0) {
    const auto dssim = dssim_map(objective, constants, x + y, d);
    value = value +
        terms.dssim_weight *
            (is_map ? dssim : reduce(objective, dssim, inner(weight)));
  }
  if (terms.constant != 0) {
    const bool is_sum = objective.reduction == Reduction::kSum;
    value = value +
        (is_sum ? terms.constant * inner(weight).sum()
                : torch::full({}, terms.constant, x.options()));
  }
  if (!is_map) {
    return value;
  }
  const auto map = weighted(value, inner(weight));
  return (batched ? map : map.squeeze(0)).to(input.scalar_type());
}

} // namespace fused_ssim::detail
