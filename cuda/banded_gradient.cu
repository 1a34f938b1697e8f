#include "launch_banded.cuh"

namespace fused_ssim::detail::cuda {

template void launch_banded<Mode::kGradient>(const BandedParams&, unsigned);
template void launch_banded<Mode::kErrorMap>(const BandedParams&, unsigned);
template void launch_banded<Mode::kBothGradients>(
    const BandedParams&,
    unsigned);

} // namespace fused_ssim::detail::cuda
