#pragma once

#include <fused_ssim/export.h>

#include <string>

// The one home of the version: CMake reads these three lines.
#define FUSED_SSIM_VERSION_MAJOR 0
#define FUSED_SSIM_VERSION_MINOR 1
#define FUSED_SSIM_VERSION_PATCH 0

namespace fused_ssim {

/// Version of the library that is linked, "MAJOR.MINOR.PATCH".
FUSED_SSIM_API std::string version();

/// Whether the library was built with CUDA kernels. Without them a CUDA tensor
/// is refused with an error that says so.
FUSED_SSIM_API bool has_cuda();

} // namespace fused_ssim
