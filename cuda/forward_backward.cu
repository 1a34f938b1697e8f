#include "launch_ssim.cuh"

namespace fused_ssim::detail::cuda {

template <typename T>
void launch_forward_backward(const SSIMParams<T>& params, unsigned blocks) {
  if (params.grad_target.data != nullptr) {
    launch_ssim<Mode::kBothGradients>(params, blocks);
  } else if (params.error_map.data != nullptr) {
    launch_ssim<Mode::kErrorMap>(params, blocks);
  } else {
    launch_ssim<Mode::kGradient>(params, blocks);
  }
}

template void launch_forward_backward(const SSIMParams<float>&, unsigned);
template void launch_forward_backward(const SSIMParams<double>&, unsigned);

} // namespace fused_ssim::detail::cuda
