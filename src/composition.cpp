#include "composition.h"

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

/// The inner region of [..., H, W], `radius` pixels from each border.
torch::Tensor crop(const torch::Tensor& images, std::int64_t radius) {
  return images.slice(-2, radius, images.size(-2) - radius)
      .slice(-1, radius, images.size(-1) - radius);
}

/// Weighted mean, or sum, of a map.
torch::Tensor reduce(
    const Objective& objective,
    const torch::Tensor& map, // [N, C, H, W]
    const torch::Tensor& weight) { // as map
  const auto sum = (map * weight).sum();
  if (objective.reduction == Reduction::kSum) {
    return sum;
  }
  const auto weight_sum = weight.sum();
  // Where nothing weighs the sum is 0, and so is the mean and its derivatives.
  return sum / weight_sum.masked_fill(weight_sum == 0, 1);
}

} // namespace

torch::Tensor composition(
    const Objective& objective,
    const torch::Tensor& input,
    const torch::Tensor& target,
    const torch::Tensor& mask) {
  const auto type = input.scalar_type() == torch::kFloat64 ? torch::kFloat64
                                                           : torch::kFloat32;
  const bool batched = input.dim() == 4;
  const auto as_batch = [&](const torch::Tensor& images) {
    auto values = images.to(type);
    if (images.scalar_type() == torch::kUInt8) {
      values = values / 255;
    }
    return batched ? values : values.unsqueeze(0);
  };
  const auto x = as_batch(input);
  const auto y = as_batch(target);
  const auto weight = mask.defined() ? mask.to(type).expand_as(x)
                                     : torch::ones_like(x, x.options());

  // NOTE [ Sum and difference ] in ssim_math.h, without the pivot.
  const auto radius = objective.window_size / 2;
  const auto taps = taps_of(objective, x);
  const auto blurred = [&](const torch::Tensor& images) {
    auto planes = images.reshape({-1, 1, x.size(2), x.size(3)});
    if (!objective.valid) {
      planes = torch::constant_pad_nd(planes, {radius, radius, radius, radius});
    }
    const auto result = blur(planes, taps);
    return result.view({x.size(0), x.size(1), result.size(2), result.size(3)});
  };
  const double range = objective.data_range;
  const double two_c1 = 2 * objective.k1 * range * objective.k1 * range;
  const double two_c2 = 2 * objective.k2 * range * objective.k2 * range;
  const auto s = x + y;
  const auto d = x - y;
  const auto ms = blurred(s);
  const auto md = blurred(d);
  const auto vs = blurred(s * s) - ms * ms;
  const auto vd = blurred(d * d) - md * md;
  const auto ms2 = ms * ms;
  const auto md2 = md * md;
  const auto dssim = 1 -
      (ms2 - md2 + two_c1) / (ms2 + md2 + two_c1) * (vs - vd + two_c2) /
          (vs + vd + two_c2);

  const auto l1 = d.abs();
  const auto inner = [&](const torch::Tensor& images) {
    return objective.valid ? crop(images, radius) : images;
  };
  if (objective.reduction == Reduction::kNone) {
    const auto map = inner(weight) *
        (objective.l1 * inner(l1) + objective.dssim * dssim + objective.offset);
    return (batched ? map : map.squeeze(0)).to(input.scalar_type());
  }
  const auto l1_term = objective.crop_l1
      ? reduce(objective, inner(l1), inner(weight))
      : reduce(objective, l1, weight);
  const auto dssim_term = reduce(objective, dssim, inner(weight));
  const auto value = objective.l1 * l1_term + objective.dssim * dssim_term;
  return objective.reduction == Reduction::kSum
      ? value + objective.offset * inner(weight).sum()
      : value + objective.offset;
}

} // namespace fused_ssim::detail
