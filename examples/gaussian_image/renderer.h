#pragma once

#include "gaussians.h"

/// Renders Gaussians to an image, tile by tile, with a few large tensor operations
/// that autograd can follow.
class Renderer {
 public:
  Renderer(
      int64_t height,
      int64_t width,
      int64_t per_tile, // Gaussians that reach one tile
      const torch::Device& device);

  /// Chooses the Gaussians of each tile, without gradient. To be called before the
  /// first `render`, and now and then while the Gaussians move.
  void assign(const Gaussians& gaussians);

  torch::Tensor render(const Gaussians& gaussians) const; // [3, H, W]

 private:
  int64_t height_, width_, per_tile_;
  int64_t rows_, columns_; // of tiles
  torch::Tensor centers_; // [T, 2] x, y of the tiles' centres
  torch::Tensor pixels_; // [6, P] monomials of a tile's pixels
  torch::Tensor lists_; // [T, K] indices of Gaussians
};
