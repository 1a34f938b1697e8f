#pragma once

// The checks of MS-SSIM's arguments, after those of checks.h.

#include "checks.h"
#include "pyramid.h"

#include <torch/torch.h>

#include <cmath>
#include <cstdint>
#include <limits>

namespace fused_ssim::detail {

/// MS-SSIM: the weights, and that the last scale holds a window.
inline void check_scales(
    const Objective& o,
    const torch::Tensor& input) { // [N, C, H, W] or [C, H, W]
  TORCH_CHECK(
      o.scales() >= 1 && o.scales() <= kMaxScales,
      o.name,
      ": expected 1 to ",
      kMaxScales,
      " weights, one for each scale, but got ",
      o.scales());
  for (const double weight : o.scale_weights) {
    TORCH_CHECK(
        weight > 0 && std::isfinite(weight),
        o.name,
        ": expected weights to be finite and > 0, but got ",
        weight);
  }
  if (!o.valid) {
    return;
  }
  int held = 0; // scales
  std::int64_t height = input.size(-2), width = input.size(-1);
  while (held < o.scales() && height >= o.window_size &&
         width >= o.window_size) {
    ++held;
    height = halved(height);
    width = halved(width);
  }
  const std::int64_t least = ((o.window_size - 1) << (o.scales() - 1)) +
      1; // whose last one has a window
  TORCH_CHECK(
      held == o.scales(),
      o.name,
      ": expected images of at least ",
      least,
      " x ",
      least,
      " pixels for ",
      o.scales(),
      " scales of window_size ",
      o.window_size,
      " with padding kValid, but got ",
      input.size(-2),
      " x ",
      input.size(-1),
      ", which hold ",
      held,
      "; pass as many weights, or padding kSame");
}

inline void check_arguments(
    const Objective& o,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const torch::Tensor& mask) { // see functional.h; may be undefined
  check_options(o);
  check_images(o, input, target);
  check_window_fits(o, input.size(-2), input.size(-1));
  check_mask(o, input, mask);
}

inline void check_loss_arguments(
    const Objective& o,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target, // as input
    const torch::Tensor& mask) { // see functional.h; may be undefined
  check_weights(o);
  check_arguments(o, input, target, mask);
}

inline void check_ms_ssim_arguments(
    const Objective& o,
    const torch::Tensor& input, // [N, C, H, W] or [C, H, W]
    const torch::Tensor& target) { // as input
  check_arguments(o, input, target, /*mask=*/{});
  check_scales(o, input);
  if (input.is_cuda() && input.dim() == 4) {
    // Blocks of a grid; each keeps to one image and channel.
    constexpr std::int64_t kMost = std::numeric_limits<int>::max();
    TORCH_CHECK(
        input.size(1) == 0 || input.size(0) <= kMost / input.size(1),
        o.name,
        ": expected at most ",
        kMost,
        " images times channels on CUDA, but got input of shape ",
        input.sizes());
  }
}

} // namespace fused_ssim::detail
