#include "launch_banded.cuh"

namespace fused_ssim::detail::cuda {

template void launch_banded<Mode::kSums>(const BandedParams&, unsigned);
template void launch_banded<Mode::kMap>(const BandedParams&, unsigned);

} // namespace fused_ssim::detail::cuda
