#pragma once

#include <cuda_runtime_api.h>

namespace fused_ssim::bench {

/// Launches a kernel that does nothing.
void launch_empty_kernel(cudaStream_t stream);

} // namespace fused_ssim::bench
