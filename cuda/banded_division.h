#pragma once

// When the banded kernel runs, and how its blocks divide the images.

#include "banded_policy.h"

#include "backend.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace fused_ssim::detail::cuda {

/// Every window but the one that the other kernels know at compile time.
inline bool prefers_banded(const SSIMParams<float>& params) {
  return params.window.radius != kCommonRadius;
}

/// The window as pairs of float16 hold it: in multiples of 2^-24, the smallest float16
/// there is, with a sum of exactly 1. Were the sum off by 1e-7, the variance E[d^2] -
/// E[d]^2 would be off by 1e-7 d^2, the same in every window, which no mean takes out.
inline void round_window(DeviceWindow<float>& window) {
  constexpr double kUnits = 1 << 24;
  double rest = kUnits;
  for (int k = 1; k <= window.radius; ++k) {
    const double units = std::nearbyint(window.taps[k] * kUnits);
    window.taps[k] = static_cast<float>(units / kUnits);
    rest -= 2 * units;
  }
  window.taps[0] = static_cast<float>(rest / kUnits);
}

/// Finds strips that fit, and the sizes that follow. False: there are none.
template <Mode kMode, int kSpan>
bool divide_banded(
    BandedParams& params,
    int multiprocessors,
    std::size_t shared_bytes) {
  using P = BandedPolicy<kMode, kSpan>;
  auto& ssim = params.ssim;
  // Places in a block take 32 bits.
  const auto near = [](const auto& image) {
    constexpr std::int64_t kFar = std::int64_t(1) << 26;
    return std::abs(image.stride[2]) < kFar && std::abs(image.stride[3]) < kFar;
  };
  if (!near(ssim.input) || !near(ssim.target)) {
    return false;
  }
  const auto blocks_of = [](int pixels) {
    return (pixels + kBlock - 1) / kBlock;
  };
  const int wide = blocks_of(ssim.own_region.columns());
  const int high = blocks_of(ssim.own_region.rows());
  double least = 0;
  params.strip_blocks = 0;
  for (int strips = 1; strips <= wide; ++strips) {
    const int width = (wide + strips - 1) / strips;
    const int bytes = P::layout(width).bytes;
    if ((wide + width - 1) / width != strips ||
        static_cast<std::size_t>(bytes) > shared_bytes) {
      continue;
    }
    // Steps of the warp that ends last, and what a warp has to do on average. A block
    // that goes on in a second strip has its lead once more. Fitted to times of an H100.
    const double share = double(ssim.batch) * ssim.channels * strips *
        (high + 1) / multiprocessors;
    const bool whole = std::fmod(high + 1, std::ceil(share)) == 0;
    const double rows = std::ceil(share) - 1 + P::kLead * (whole ? 1 : 2);
    const double steps = width + P::kLead - 0.7;
    const double last = std::ceil(rows / P::kWarps) * steps +
        0.6 * std::min(rows, double(P::kWarps));
    const double mean = (rows - 1) * steps / P::kWarps;
    const double cost = 0.6 * last + 0.4 * mean;
    if (params.strip_blocks == 0 || cost < least) {
      least = cost;
      params.strip_blocks = width;
      ssim.strips = strips;
    }
  }
  if (params.strip_blocks == 0) {
    return false;
  }
  ssim.strip_length = high + 1;
  round_window(ssim.window);
  // Partial derivatives grow with 1 / C2; 1024 is right for the usual 0.03.
  const double scale = 1024 * double(ssim.two_c2) / 18e-4;
  int exponent = 0;
  std::frexp(scale, &exponent);
  params.partial_scale = scale > 0
      ? static_cast<float>(std::ldexp(1.0, std::max(exponent - 1, -60)))
      : 1.0f;
  const auto aligned = [](const auto& image, std::uintptr_t bytes) {
    if (image.data == nullptr) {
      return true;
    }
    auto all = reinterpret_cast<std::uintptr_t>(image.data);
    for (int i = 0; i < 3; ++i) {
      all |= static_cast<std::uintptr_t>(image.stride[i]);
    }
    return image.element == Element::kFloat32 && image.stride[3] == 4 &&
        all % bytes == 0;
  };
  const auto& own = ssim.own_region;
  params.wide_loads = own.column_begin % 4 == 0 && ssim.width % 4 == 0 &&
      (aligned(ssim.input, 16) || ssim.input.element != Element::kFloat32) &&
      (aligned(ssim.target, 16) || ssim.target.element != Element::kFloat32);
  params.wide_stores = own.column_begin % 2 == 0 && own.column_end % 2 == 0 &&
      aligned(ssim.grad_input, 8) && aligned(ssim.grad_target, 8);
  return true;
}

} // namespace fused_ssim::detail::cuda
