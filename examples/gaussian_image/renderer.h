#pragma once

#include "gaussians.h"

/// Renders Gaussians to an image, tile by tile, with a few large tensor
/// operations that autograd can differentiate.
class Renderer {
 public:
  Renderer(
      int64_t height,
      int64_t width,
      int64_t per_tile, // Gaussians that reach one tile
      const torch::Device& device);

  /// Chooses the Gaussians of each tile, without a gradient. Call it before the
  /// first `render`, and from time to time while the Gaussians move.
  void assign(const Gaussians& gaussians);

  torch::Tensor render(const Gaussians& gaussians) const; // [3, H, W]

 private:
  int64_t height_, width_, per_tile_;
  int64_t rows_, columns_; // of tiles
  torch::Tensor centers_; // [T, 2] x, y of the tiles' centres
  torch::Tensor pixels_; // [6, P] monomials of a tile's pixels
  torch::Tensor lists_; // [T, K] indices of Gaussians
};
