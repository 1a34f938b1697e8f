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
      params,
      params.ssim.early);
}

template <Mode kMode, int kSpan>
void launch_banded_span(const BandedParams& params, unsigned blocks) {
  const bool float_input = params.ssim.input.element == Element::kFloat32;
  const bool float_images =
      float_input && params.ssim.target.element == Element::kFloat32;
  const bool weights = params.ssim.weight.data != nullptr;
  // With these windows the map of errors is rare.
  constexpr bool kRare = kMode == Mode::kErrorMap;
  if constexpr (!kRare) {
    if (float_images && !weights) {
      return launch_banded_images<
          kMode,
          kSpan,
          BandedImages<true, true, false>>(params, blocks);
    }
    if (float_images) {
      return launch_banded_images<kMode, kSpan, BandedImages<true, true, true>>(
          params, blocks);
    }
  }
  if constexpr (!kRare && kSpan == 2) {
    if (float_input) {
      return launch_banded_images<
          kMode,
          kSpan,
          BandedImages<true, false, true>>(params, blocks);
    }
  }
  launch_banded_images<kMode, kSpan, BandedImages<false, false, true>>(
      params, blocks);
}

template <Mode kMode>
void launch_banded(const BandedParams& params, unsigned blocks) {
  if (span_of_radius(params.ssim.window.radius) == 2) {
    launch_banded_span<kMode, 2>(params, blocks);
  } else {
    launch_banded_span<kMode, 3>(params, blocks);
  }
}

} // namespace fused_ssim::detail::cuda
