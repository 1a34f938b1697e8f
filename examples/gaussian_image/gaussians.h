#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

/// N anisotropic Gaussians in the plane of the image, as free parameters.
struct Gaussians {
  torch::Tensor position; // [N, 2] x, y in pixels
  torch::Tensor log_scale; // [N, 2] of the two standard deviations in pixels
  torch::Tensor rotation; // [N] of the first axis, in radians
  torch::Tensor opacity; // [N] its logit
  torch::Tensor color; // [N, 3] RGB

  /// Puts Gaussians at the edges of the photograph, in its colours. The same
  /// seed gives the same Gaussians on every device.
  static Gaussians from_image(
      const torch::Tensor& image, // [3, H, W] on the CPU
      int64_t count,
      uint64_t seed);

  /// The values that the renderer needs of each Gaussian: x, y, the upper
  /// triangle xx, xy, yy of the inverse covariance, log opacity, RGB. `blur` is
  /// added to both standard deviations in quadrature. [N, 9]
  torch::Tensor packed(double blur = 0) const;
};
