#pragma once

namespace fused_ssim::test {

/// Whether this executable is linked to the CUDA kernels emulated on the host:
/// then they are what CPU tensors go through, and sizes have to be small.
extern const bool kEmulated;

} // namespace fused_ssim::test
