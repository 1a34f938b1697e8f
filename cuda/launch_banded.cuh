#pragma once

// Included by banded_value.cu and banded_gradient.cu, which compile side by side.

#include "banded_kernel.cuh"
#include "launch.h"
#include "runtime.h"

namespace fused_ssim::detail::cuda {

template <Mode kMode, int kSpan, typename Images>
__global__ void __launch_bounds__(
    BandedPolicy<kMode, kSpan>::kWarps* kWarpSize,
    1) banded_kernel(const __grid_constant__ BandedParams params) {
#if !defined(FUSED_SSIM_NO_MATRIX)
  BandedKernel<kMode, kSpan, Images>(params).run();
#endif
}

template <Mode kMode, int kSpan, typename Images>
void launch_banded_images(const BandedParams& params, unsigned blocks) {
  using P = BandedPolicy<kMode, kSpan>;
  launch(
      banded_kernel<kMode, kSpan, Images>,
      blocks,
      P::kWarps * kWarpSize,
      static_cast<std::size_t>(P::layout(params.strip_blocks).bytes),
      params);
}

template <Mode kMode>
void launch_banded(const BandedParams& params, unsigned blocks) {
  const bool float_input = params.ssim.input.element == Element::kFloat32;
  const bool float_target = params.ssim.target.element == Element::kFloat32;
  const bool weights = params.ssim.weight.data != nullptr;
  if (span_of_radius(params.ssim.window.radius) == 3) {
    if (float_input && float_target) {
      launch_banded_images<kMode, 3, BandedImages<true, true, true>>(
          params, blocks);
    } else {
      launch_banded_images<kMode, 3, BandedImages<false, false, true>>(
          params, blocks);
    }
  } else if (float_input && float_target && !weights) {
    launch_banded_images<kMode, 2, BandedImages<true, true, false>>(
        params, blocks);
  } else if (float_input && float_target) {
    launch_banded_images<kMode, 2, BandedImages<true, true, true>>(
        params, blocks);
  } else if (float_input) {
    launch_banded_images<kMode, 2, BandedImages<true, false, true>>(
        params, blocks);
  } else {
    launch_banded_images<kMode, 2, BandedImages<false, false, true>>(
        params, blocks);
  }
}

} // namespace fused_ssim::detail::cuda
