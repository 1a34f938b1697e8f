#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>

namespace fused_ssim::test {

/// Draws a case from `seed` alone: images, options, a mask, the gradients that
/// are needed, and the upstream gradient. It has at most about `max_pixels`
/// pixels. Compares the library with the reference.
struct DifferentialCase {
  std::string description; // everything drawn
  std::string failure; // empty: none
};
DifferentialCase run_differential_case(
    std::uint64_t seed,
    torch::Device device,
    std::int64_t max_pixels);

} // namespace fused_ssim::test
