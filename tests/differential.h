#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>

namespace fused_ssim::test {

/// Draws, from `seed` alone, images, options, a mask, which gradients and what
/// comes back to them, of at most about `max_pixels` pixels, and compares the
/// library with the reference.
struct DifferentialCase {
  std::string description; // everything drawn
  std::string failure; // empty: none
};
DifferentialCase run_differential_case(
    std::uint64_t seed,
    torch::Device device,
    std::int64_t max_pixels);

} // namespace fused_ssim::test
