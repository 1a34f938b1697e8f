#pragma once

#include "backend.h"

#include <torch/torch.h>

namespace fused_ssim::detail {

inline void require_cpu(const torch::Tensor& tensor) {
  TORCH_INTERNAL_ASSERT(tensor.is_cpu(), "a CUDA tensor passed the checks");
}

} // namespace fused_ssim::detail

/// The function of backend.h or pyramid.h for the device of `tensor`:
/// cpu::function(arguments), or cuda::function(arguments, index of the device).
#if defined(FUSED_SSIM_WITH_CUDA)
#define FUSED_SSIM_ON_DEVICE(tensor, function, ...)                        \
  ((tensor).is_cuda() ? cuda::function(__VA_ARGS__, (tensor).get_device()) \
                      : (require_cpu(tensor), cpu::function(__VA_ARGS__)))
#else
#define FUSED_SSIM_ON_DEVICE(tensor, function, ...) \
  (require_cpu(tensor), cpu::function(__VA_ARGS__))
#endif
