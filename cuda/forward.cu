#include "launch_ssim.cuh"

namespace fused_ssim::detail::cuda {

template <typename T>
void launch_forward(const SSIMParams<T>& params, unsigned blocks) {
  if (params.map.data != nullptr) {
    launch_ssim<Mode::kMap>(params, blocks);
  } else {
    launch_ssim<Mode::kSums>(params, blocks);
  }
}

template void launch_forward(const SSIMParams<float>&, unsigned);
template void launch_forward(const SSIMParams<double>&, unsigned);

} // namespace fused_ssim::detail::cuda
