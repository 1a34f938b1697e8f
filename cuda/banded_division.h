#pragma once

// How the blocks of the banded kernel divide the images.

#include "banded_policy.h"

#include "backend.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>

namespace fused_ssim::detail::cuda {

/// A window of multiples of 2^-24, the smallest float16 there is, with a sum of exactly
/// 1. Were the sum off by 1e-7, the variance E[d^2] - E[d]^2 would be off by 1e-7 d^2,
/// the same in every window, which no mean takes out.
///
/// The high parts are multiples of 2^-12, and their sum is 1 as well. A tensor core drops
/// what lies too far below the first bit of the largest product. That makes all sums of
/// squares too small, and with them the variances. Products of such high parts have no
/// bits there, unless they are small themselves.
inline BandedWindow split_window(const DeviceWindow<float>& window) {
  constexpr int kSteps = 1 << 12, kUnits = 1 << 24; // of high, of low
  constexpr int kUnitsOfStep = kUnits / kSteps;
  BandedWindow result{};
  result.radius = window.radius;
  // Of the high parts, sums from the outermost tap inward are rounded. So what is left
  // for the middle is within one step.
  double sum = 0;
  int high_sum = 0, low_sum = 0;
  int low[kMaxRadius + 1] = {};
  for (int k = window.radius; k > 0; --k) {
    sum += window.taps[k];
    const int high = static_cast<int>(std::lround(sum * kSteps)) - high_sum;
    high_sum += high;
    const double rest = double(window.taps[k]) * kUnits - high * kUnitsOfStep;
    // Float16 has 11 bits.
    low[k] = static_cast<int>(
        std::fabs(rest) > kUnitsOfStep / 2 ? 2 * std::lround(rest / 2)
                                           : std::lround(rest));
    low_sum += low[k];
    result.high[k] = static_cast<float>(high) / kSteps;
  }
  // The middle takes what is left, which is an even number.
  while (2 * std::abs(low_sum) > kUnitsOfStep) {
    const int less = low_sum > 0 ? 2 : -2;
    low[1] -= less;
    low_sum -= less;
  }
  low[0] = -2 * low_sum;
  result.high[0] = static_cast<float>(kSteps - 2 * high_sum) / kSteps;
  for (int k = 0; k <= window.radius; ++k) {
    result.low[k] = static_cast<float>(low[k]) / kUnits;
  }
  return result;
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
  params.window = split_window(ssim.window);
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
