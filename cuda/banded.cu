#include "banded_kernel.cuh"
#include "launch.h"
#include "runtime.h"

namespace fused_ssim::detail::cuda {
namespace {

template <Mode kMode, typename Images>
__global__ void __launch_bounds__(BandedPolicy<kMode>::kWarps* kWarpSize, 1)
    banded_kernel(const __grid_constant__ BandedParams params) {
#if !defined(FUSED_SSIM_NO_MATRIX)
  BandedKernel<kMode, Images>(params).run();
#endif
}

template <Mode kMode, typename Images>
void launch_images(const BandedParams& params, unsigned blocks) {
  using P = BandedPolicy<kMode>;
  launch(
      banded_kernel<kMode, Images>,
      blocks,
      P::kWarps * kWarpSize,
      static_cast<std::size_t>(P::layout(params.strip_blocks).bytes),
      params);
}

} // namespace

template <Mode kMode>
void launch_banded(const BandedParams& params, unsigned blocks) {
  const bool float_input = params.ssim.input.element == Element::kFloat32;
  const bool float_target = params.ssim.target.element == Element::kFloat32;
  const bool weights = params.ssim.weight.data != nullptr;
  if (float_input && float_target && !weights) {
    launch_images<kMode, BandedImages<true, true, false>>(params, blocks);
  } else if (float_input && float_target) {
    launch_images<kMode, BandedImages<true, true, true>>(params, blocks);
  } else if (float_input) {
    launch_images<kMode, BandedImages<true, false, true>>(params, blocks);
  } else {
    launch_images<kMode, BandedImages<false, false, true>>(params, blocks);
  }
}

template void launch_banded<Mode::kSums>(const BandedParams&, unsigned);
template void launch_banded<Mode::kMap>(const BandedParams&, unsigned);
template void launch_banded<Mode::kGradient>(const BandedParams&, unsigned);
template void launch_banded<Mode::kBothGradients>(
    const BandedParams&,
    unsigned);

} // namespace fused_ssim::detail::cuda
