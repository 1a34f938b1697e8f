#include "support.h"

#include <cmath>

namespace fused_ssim::test {
namespace {

const auto kOptions = torch::TensorOptions(torch::kFloat64);

/// Row and column of each pixel, [H, 1] and [1, W].
torch::Tensor rows(const Sizes& sizes) {
  return torch::arange(sizes[sizes.size() - 2], kOptions).unsqueeze(1);
}

torch::Tensor columns(const Sizes& sizes) {
  return torch::arange(sizes.back(), kOptions).unsqueeze(0);
}

} // namespace

torch::Tensor noise(const Sizes& sizes) {
  return torch::rand(sizes, kOptions);
}

torch::Tensor photograph(const Sizes& sizes) {
  const auto row = rows(sizes);
  const auto column = columns(sizes);
  const auto shading = 0.45 + 0.25 * torch::sin(column / 37 + 1) +
      0.1 * torch::cos(row / 23 - column / 51);
  const auto edges = 0.15 * torch::sign(torch::sin(row / 17 + column / 29));
  const auto texture = 0.05 * torch::sin(row * 1.3) * torch::sin(column * 0.9);
  auto planes = Sizes(sizes.size(), 1);
  planes[sizes.size() - 3] = sizes[sizes.size() - 3];
  const auto tint = 0.8 + 0.2 * torch::rand(planes, kOptions);
  const auto picture = (shading + edges + texture) * tint;
  return (picture + 0.01 * torch::randn(sizes, kOptions)).clamp(0, 1);
}

torch::Tensor disturbed(const torch::Tensor& image, double amount) {
  return (image + amount * torch::randn_like(image)).clamp(0, 1);
}

torch::Tensor checkerboard(const Sizes& sizes) {
  const auto field = (rows(sizes) / 8).floor() + (columns(sizes) / 8).floor();
  return field.remainder(2).expand(sizes).contiguous();
}

torch::Tensor half_dark_half_bright(const Sizes& sizes) {
  const double middle = static_cast<double>(sizes.back()) / 2;
  return torch::where(columns(sizes) < middle, 0.02, 0.95)
      .expand(sizes)
      .to(kOptions)
      .contiguous();
}

torch::Tensor ramp(const Sizes& sizes, double first, int levels) {
  const double width = static_cast<double>(sizes.back());
  const auto level = (columns(sizes) * (levels / width)).floor();
  return (first + level / 255).expand(sizes).contiguous();
}

torch::Tensor leaf_of(
    const torch::Tensor& image,
    torch::Device device,
    torch::ScalarType type) {
  return image.detach().clone().to(device, type).requires_grad_();
}

std::vector<ImagePair> bright_low_contrast_pairs(const Sizes& sizes) {
  const auto narrow = [](const torch::Tensor& image) {
    return 0.9 + 0.01 * image;
  };
  const auto smooth =
      0.5 + 0.5 * torch::sin(rows(sizes) / 9) * torch::cos(columns(sizes) / 13);
  const auto constant = torch::full(sizes, 0.9, kOptions);
  return {
      {"uniform in 0.9 .. 0.91", narrow(noise(sizes)), narrow(noise(sizes))},
      {"smooth in 0.9 .. 0.91",
       narrow(smooth.expand(sizes).contiguous()),
       narrow(disturbed(smooth.expand(sizes), 0.05))},
      {"constant against constant + 1e-3", constant, constant + 1e-3},
      {"8-bit ramps", ramp(sizes, 200 / 255., 55), ramp(sizes, 201 / 255., 54)},
      {"100 .. 101 of 255", 100 + noise(sizes), 100 + noise(sizes), 255},
  };
}

std::vector<ImagePair> full_range_pairs(const Sizes& sizes) {
  const auto half = half_dark_half_bright(sizes);
  const auto full = noise(sizes).round();
  const auto board = checkerboard(sizes);
  const auto photo = photograph(sizes);
  return {
      {"noise", noise(sizes), noise(sizes)},
      {"synthetic photograph", photo, disturbed(photo, 0.05)},
      {"half dark and half bright", half, disturbed(half, 0.01)},
      {"full contrast, 2 % noise", full, disturbed(full, 0.02)},
      {"checkerboard", board, disturbed(board, 0.02)},
      {"checkerboard and its negative", board, 1 - board},
      {"black and white",
       torch::zeros(sizes, kOptions),
       torch::ones(sizes, kOptions)},
  };
}

const std::vector<Layout> kLayouts = {
    Layout::kContiguous,
    Layout::kPermuted,
    Layout::kTransposed,
    Layout::kBatchInside,
    Layout::kSliced,
    Layout::kOffset,
};

const char* name(Layout layout) {
  switch (layout) {
    case Layout::kContiguous:
      return "contiguous";
    case Layout::kPermuted:
      return "permuted [H, W, C]";
    case Layout::kTransposed:
      return "transposed [C, W, H]";
    case Layout::kBatchInside:
      return "batch inside [C, H, W, N]";
    case Layout::kSliced:
      return "sliced";
    case Layout::kOffset:
      return "with storage offset";
  }
  return "?";
}

torch::Tensor lay_out(const torch::Tensor& image, Layout layout) {
  const auto height = image.size(-2);
  const auto width = image.size(-1);
  auto sizes = image.sizes().vec();
  const auto within = [&](std::int64_t rows, std::int64_t columns) {
    sizes[sizes.size() - 2] = rows;
    sizes[sizes.size() - 1] = columns;
    return torch::zeros(sizes, image.options());
  };
  torch::Tensor view;
  switch (layout) {
    case Layout::kContiguous:
      return image.contiguous().clone();
    case Layout::kPermuted:
      return image.movedim(-3, -1).contiguous().movedim(-1, -3);
    case Layout::kTransposed:
      return image.transpose(-2, -1).contiguous().transpose(-2, -1);
    case Layout::kBatchInside:
      return image.movedim(0, -1).contiguous().movedim(-1, 0);
    case Layout::kSliced:
      view =
          within(2 * height, 2 * width).slice(-2, 1, {}, 2).slice(-1, 0, {}, 2);
      break;
    case Layout::kOffset:
      view = within(height + 3, width + 5)
                 .narrow(-2, 1, height)
                 .narrow(-1, 3, width);
      break;
  }
  view.copy_(image);
  return view;
}

} // namespace fused_ssim::test
