#pragma once

namespace fused_ssim::test {

/// Whether this executable is linked to the CUDA kernels that are emulated on
/// the host. CPU tensors then go through these kernels, and images have to be
/// small.
extern const bool kEmulated;

} // namespace fused_ssim::test
