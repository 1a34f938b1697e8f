#include "contact_sheet.h"

#include "caption.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace programs {

namespace {

using torch::indexing::Slice;

constexpr int64_t kColumns = 4;
constexpr int64_t kMargin = 8; // around every panel
constexpr int64_t kInk = 2; // width and height of a glyph's pixel
constexpr int64_t kCaptionHeight = kInk * kGlyphHeight + kMargin / 2;
constexpr int64_t kMinWidth = 26 * kInk * (kGlyphWidth + 1); // the caption's

/// [3, h, w] on the CPU. A large image is averaged down to 384 pixels. A small
/// one is enlarged by a whole factor.
torch::Tensor fit(const torch::Tensor& image) { // [C, H, W]
  constexpr int64_t largest = 384, smallest = 192;
  auto fitted = image.detach().cpu().to(torch::kFloat32);
  const auto extent = std::max(fitted.size(1), fitted.size(2));
  if (extent > largest) {
    const auto scaled = [&](int64_t length) {
      return std::max<int64_t>(1, length * largest / extent);
    };
    fitted = torch::adaptive_avg_pool2d(
        fitted, {scaled(fitted.size(1)), scaled(fitted.size(2))});
  } else if (extent < smallest) {
    const auto factor = smallest / extent;
    fitted = fitted.repeat_interleave(factor, 1).repeat_interleave(factor, 2);
  }
  return fitted.clamp(0, 1).expand({3, -1, -1});
}

void draw_caption(
    const std::string& caption,
    torch::Tensor area) { // [3, caption height, cell width]
  const auto pixels = area[0].size(1) / kInk;
  for (std::size_t i = 0; i < caption.size(); ++i) {
    for (int y = 0; y < kGlyphHeight; ++y) {
      for (int x = 0; x < kGlyphWidth; ++x) {
        const auto at = static_cast<int64_t>(i) * (kGlyphWidth + 1) + x;
        if (at < pixels && glyph_pixel(caption[i], x, y)) {
          area.index_put_(
              {Slice(),
               Slice(y * kInk, (y + 1) * kInk),
               Slice(at * kInk, (at + 1) * kInk)},
              0.1);
        }
      }
    }
  }
}

} // namespace

torch::Tensor contact_sheet(const std::vector<Panel>& panels) {
  std::vector<torch::Tensor> images;
  for (const auto& panel : panels) {
    images.push_back(fit(panel.image));
  }
  const auto count = static_cast<int64_t>(images.size());
  const auto height = images[0].size(1), width = images[0].size(2);
  const auto cell_height = kCaptionHeight + height + kMargin;
  const auto cell_width = std::max(width, kMinWidth) + kMargin;
  const auto columns = std::min(count, kColumns);
  const auto rows = (count + columns - 1) / columns;

  auto sheet = torch::ones(
      {3, rows * cell_height + kMargin, columns * cell_width + kMargin});
  for (int64_t i = 0; i < count; ++i) {
    const auto cell =
        sheet.narrow(1, i / columns * cell_height + kMargin, cell_height)
            .narrow(2, i % columns * cell_width + kMargin, cell_width);
    const auto index = static_cast<std::size_t>(i);
    draw_caption(panels[index].caption, cell.narrow(1, 0, kCaptionHeight));
    cell.narrow(1, kCaptionHeight, height)
        .narrow(2, 0, width)
        .copy_(images[index]);
  }
  return sheet;
}

Panel error_panel(
    const torch::Tensor& image, // [C, H, W]
    const torch::Tensor& target) { // [C, H, W]
  const auto error = (image.detach() - target).abs().mean(0, true);
  // The mean error is shown as a dark to middle grey.
  const auto mean = error.mean().item<double>();
  const auto power =
      mean > 0 ? std::clamp(std::floor(std::log2(0.25 / mean)), 0., 16.) : 0.;
  const auto factor = static_cast<int64_t>(std::exp2(power));
  return {"error x " + std::to_string(factor), error * factor};
}

} // namespace programs
