#include "gaussians.h"

#include <torch/torch.h>

namespace {

/// The probability of a Gaussian at each pixel: mostly the gradient magnitude,
/// and a constant that covers flat parts. [H, W], sums to 1
torch::Tensor density(const torch::Tensor& image) { // [3, H, W]
  const auto grey = torch::replication_pad2d(image.mean(0, true), {1, 1, 1, 1});
  const auto height = image.size(1), width = image.size(2);
  const auto at = [&](int64_t y, int64_t x) {
    return grey[0].narrow(0, y, height).narrow(1, x, width);
  };
  const auto magnitude =
      ((at(1, 2) - at(1, 0)).square() + (at(2, 1) - at(0, 1)).square()).sqrt();
  const auto uniform = torch::full_like(magnitude, 1. / (height * width));
  const auto sum = magnitude.sum();
  return torch::where(
      sum > 0, 0.8 * magnitude / sum.clamp_min(1e-12) + 0.2 * uniform, uniform);
}

} // namespace

Gaussians Gaussians::from_image(
    const torch::Tensor& image, // [3, H, W] on the CPU
    int64_t count,
    uint64_t seed) {
  torch::manual_seed(seed);
  const auto width = image.size(2);
  const auto probability = density(image).flatten();
  const auto index = torch::multinomial(probability, count, true); // [N]
  const auto corner = torch::stack(
      {index.remainder(width), index.div(width, "floor")}, 1); // [N, 2]

  Gaussians gaussians;
  gaussians.position = corner + torch::rand({count, 2});
  // Half the distance between neighbours, so that dense Gaussians start small.
  const auto distance = (probability.index({index}) * count).rsqrt();
  gaussians.log_scale =
      (0.5 * distance).clamp(1, 40).log().unsqueeze(1).repeat({1, 2});
  gaussians.rotation = torch::rand({count}) * M_PI;
  gaussians.opacity = torch::zeros({count});
  gaussians.color = image.flatten(1).t().index({index}).contiguous();
  return gaussians;
}

torch::Tensor Gaussians::packed(double blur) const {
  const auto inverse = 1 / ((2 * log_scale).exp() + blur * blur); // [N, 2]
  const auto first = inverse.select(1, 0), second = inverse.select(1, 1);
  const auto cosine = rotation.cos(), sine = rotation.sin();
  const auto xx = cosine * cosine * first + sine * sine * second;
  const auto xy = cosine * sine * (first - second);
  const auto yy = sine * sine * first + cosine * cosine * second;
  return torch::cat(
      {position,
       torch::stack({xx, xy, yy, torch::log_sigmoid(opacity)}, 1),
       color},
      1);
}
