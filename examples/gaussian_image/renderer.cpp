// NOTE [ Blending ]
//
// A pixel is the weighted mean of the colours of the Gaussians around it,
// sum(w c) / sum(w), with w = opacity * exp(-d^2 / 2). Alpha compositing would
// need an order of the Gaussians and a cumulative product over each list. The
// mean needs neither, and is a matrix product. The mean also makes sharp edges of
// soft Gaussians, which the plain sum of w c does not: where two of them meet,
// one replaces the other within one or two pixels. In a prototype with 2000
// Gaussians on the portrait of the README, 300 steps reached SSIM 0.89 with the
// mean and 0.81 with the sum.
//
// The exponent of w is a polynomial of degree two in the position of the pixel.
// Relative to the centre of its tile, it has six coefficients. The six
// monomials of the pixels are the same for all tiles. So one matrix product
// gives all exponents.

#include "renderer.h"

#include <torch/torch.h>

#include <algorithm>

namespace {

// Width and height in pixels. Most of the time goes to the exponentials, whose
// number is pixels * list length. Small tiles need only short lists. 16 x 16
// with lists of 32 cost twice as many exponentials.
constexpr int64_t kTile = 8;

torch::Tensor grid(
    int64_t rows,
    int64_t columns,
    double step) { // [R C, 2] x, y
  const auto axis = [&](int64_t count) {
    return (torch::arange(count, torch::kFloat32) + 0.5) * step;
  };
  const auto yx = torch::meshgrid({axis(rows), axis(columns)}, "ij");
  return torch::stack({yx[1].flatten(), yx[0].flatten()}, 1);
}

torch::Tensor monomials(const torch::Tensor& points) { // [P, 2] -> [6, P]
  const auto x = points.select(1, 0), y = points.select(1, 1);
  return torch::stack({x * x, x * y, y * y, x, y, torch::ones_like(x)});
}

/// The polynomial log w of each Gaussian about an origin. [M, 6]
torch::Tensor polynomials(
    const torch::Tensor& packed, // [M, 9]
    const torch::Tensor& origin) { // [M, 2] or [2]
  const auto field = [&](int64_t i) { return packed.select(1, i); };
  const auto xx = field(2), xy = field(3), yy = field(4);
  const auto mean = packed.narrow(1, 0, 2) - origin;
  const auto x = mean.select(1, 0), y = mean.select(1, 1);
  const auto along_x = xx * x + xy * y, along_y = xy * x + yy * y;
  return torch::stack(
      {-0.5 * xx,
       -xy,
       -0.5 * yy,
       along_x,
       along_y,
       field(5) - 0.5 * (along_x * x + along_y * y)},
      1);
}

} // namespace

Renderer::Renderer(
    int64_t height,
    int64_t width,
    int64_t per_tile,
    const torch::Device& device)
    : height_(height),
      width_(width),
      per_tile_(per_tile),
      rows_((height + kTile - 1) / kTile),
      columns_((width + kTile - 1) / kTile) {
  centers_ = grid(rows_, columns_, kTile).to(device);
  pixels_ = monomials(grid(kTile, kTile, 1) - 0.5 * kTile).to(device);
}

void Renderer::assign(const Gaussians& gaussians) {
  const torch::NoGradGuard no_grad;
  // The weight at the centre of the tile, with the Gaussian blurred by half the
  // width of the tile. So a small Gaussian near the border of the tile counts,
  // too.
  const auto packed = gaussians.packed(0.5 * kTile);
  const auto origin = centers_.mean(0);
  const auto log_weights = polynomials(packed, origin); // [N, 6]
  const auto count = std::min(per_tile_, packed.size(0));
  std::vector<torch::Tensor> lists;
  // In parts, because [T, N] of a large image would take gigabytes.
  for (const auto& centers : centers_.split(4096)) {
    const auto weights = log_weights.mm(monomials(centers - origin)).t();
    lists.push_back(std::get<1>(weights.topk(count, 1)));
  }
  lists_ = torch::cat(lists);
}

torch::Tensor Renderer::render(const Gaussians& gaussians) const {
  const auto tiles = lists_.size(0), count = lists_.size(1);
  const auto listed =
      gaussians.packed().index_select(0, lists_.flatten()); // [T K, 9]
  const auto origin = centers_.repeat_interleave(count, 0); // [T K, 2]
  const auto weights = polynomials(listed, origin)
                           .mm(pixels_)
                           .exp_()
                           .view({tiles, count, -1}); // [T, K, P]

  const auto color = torch::cat(
      {listed.narrow(1, 6, 3),
       torch::ones({tiles * count, 1}, listed.options())},
      1); // [T K, 4] RGB, 1
  const auto sums =
      color.view({tiles, count, 4}).transpose(1, 2).bmm(weights); // [T, 4, P]
  // Black where no Gaussian reaches.
  const auto pixels = sums.narrow(1, 0, 3) / (sums.narrow(1, 3, 1) + 1e-4);
  return pixels.view({rows_, columns_, 3, kTile, kTile})
      .permute({2, 0, 3, 1, 4})
      .reshape({3, rows_ * kTile, columns_ * kTile})
      .narrow(1, 0, height_)
      .narrow(2, 0, width_);
}
