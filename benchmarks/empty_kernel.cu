#include "empty_kernel.h"

#include <c10/cuda/CUDAException.h>

namespace fused_ssim::bench {
namespace {

__global__ void empty_kernel() {}

} // namespace

void launch_empty_kernel(cudaStream_t stream) {
  empty_kernel<<<1, 1, 0, stream>>>();
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

} // namespace fused_ssim::bench
