#pragma once

#include "backend.h"

#include <cmath>
#include <cstdint>

namespace fused_ssim::detail {

/// Gaussian of `size` taps, normalised to a sum of 1 in double: rounding the taps
/// first costs 2e-6 in the mean. Any positive sigma works; a tiny one gives a window
/// of one pixel.
inline Window gaussian_window(std::int64_t size, double sigma) {
  Window window;
  window.radius = static_cast<int>(size / 2);
  double sum = 0;
  for (int k = 0; k <= window.radius; ++k) {
    const double distance =
        k / sigma; // not k^2 / sigma^2, which underflows first
    window.taps[k] = std::exp(-0.5 * distance * distance);
    sum += k == 0 ? window.taps[k] : 2 * window.taps[k];
  }
  for (int k = 0; k <= window.radius; ++k) {
    window.taps[k] /= sum;
  }
  return window;
}

/// The power of two with unit <= data_range < 2 unit.
inline double unit_of(double data_range) {
  int exponent = 0;
  std::frexp(data_range, &exponent); // in [0.5, 1) times 2^exponent
  return std::ldexp(1.0, exponent - 1);
}

/// The constants in units of unit_of(data_range).
inline Constants constants_of(double data_range, double k1, double k2) {
  Constants constants;
  constants.unit = unit_of(data_range);
  constants.range = data_range / constants.unit;
  constants.c1 = k1 * constants.range * k1 * constants.range;
  constants.c2 = k2 * constants.range * k2 * constants.range;
  return constants;
}

} // namespace fused_ssim::detail
