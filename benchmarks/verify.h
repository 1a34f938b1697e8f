#pragma once

#include "operations.h"

#include <string>

namespace fused_ssim::bench {

/// Compares the result of a timed call with that of the plain composition
/// `composition` on the same images. Returns the errors as text, or an empty
/// string.
std::string verify(
    const Result& result,
    Operation composition,
    Shape shape,
    Variant variant,
    torch::Device device);

} // namespace fused_ssim::bench
