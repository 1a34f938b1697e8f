#pragma once

#include "device.cuh"

#include <cstdint>

namespace fused_ssim::detail::cuda {

/// Calls visit(image, channel, row) for each of the `rows` rows of all images and channels
/// that falls to this block.
template <typename Visit>
__device__ __forceinline__ void for_each_row(
    std::int64_t images,
    int channels,
    int rows,
    const Visit& visit) {
  const std::int64_t all = images * channels * rows;
  for (std::int64_t i = blockIdx.x; i < all; i += gridDim.x) {
    const std::int64_t plane = i / rows;
    visit(
        plane / channels,
        static_cast<int>(plane % channels),
        static_cast<int>(i % rows));
  }
}

} // namespace fused_ssim::detail::cuda
