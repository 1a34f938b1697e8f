#pragma once

#include "backend.h"

#include <cmath>
#include <cstdint>

namespace fused_ssim::detail {

/// Gaussian of `size` taps, normalised to a sum of 1 in double: rounding the
/// taps first costs 2e-6 in the mean.
inline Window gaussian_window(std::int64_t size, double sigma) {
  Window window;
  window.radius = static_cast<int>(size / 2);
  double sum = 0;
  for (int k = 0; k <= window.radius; ++k) {
    window.taps[k] = std::exp(-(k * k) / (2 * sigma * sigma));
    sum += k == 0 ? window.taps[k] : 2 * window.taps[k];
  }
  for (int k = 0; k <= window.radius; ++k) {
    window.taps[k] /= sum;
  }
  return window;
}

} // namespace fused_ssim::detail
