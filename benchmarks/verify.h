#pragma once

#include "operations.h"

#include <string>

namespace fused_ssim::bench {

/// Compares what a timed call of `operation` left with the plain composition on
/// the same images. Returns what is wrong; empty where nothing is.
std::string verify(
    const Result& result,
    Shape shape,
    Variant variant,
    torch::Device device);

} // namespace fused_ssim::bench
