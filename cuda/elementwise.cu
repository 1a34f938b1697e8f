#include "elementwise_kernels.cuh"
#include "launch.h"
#include "runtime.h"

namespace fused_ssim::detail::cuda {
namespace {

template <typename Params>
void launch_elementwise(
    void (*kernel)(Params),
    unsigned blocks,
    const Params& params,
    bool early = false) {
  launch(
      kernel,
      blocks,
      kElementwiseThreads,
      kElementwiseSharedBytes,
      params,
      early);
}

} // namespace

template <typename T>
void launch_l1(const SSIMParams<T>& params, unsigned blocks) {
  launch_elementwise(l1_kernel<T>, blocks, params);
}

template void launch_l1(const SSIMParams<float>&, unsigned);
template void launch_l1(const SSIMParams<double>&, unsigned);

void launch_weight_sum(const WeightSumParams& params, unsigned blocks) {
  constexpr int kSharedBytes =
      kWeightSumThreads / kWarpSize * sizeof(WeightSums);
  launch(weight_sum_kernel, blocks, kWeightSumThreads, kSharedBytes, params);
}

void launch_finish(const FinishParams& params, bool early) {
  launch_elementwise(finish_kernel, 1, params, early);
}

void launch_scale(const ScaleParams& params, unsigned blocks) {
  if (params.element == Element::kFloat64) {
    launch_elementwise(scale_kernel<double>, blocks, params);
  } else {
    launch_elementwise(scale_kernel<float>, blocks, params);
  }
}

} // namespace fused_ssim::detail::cuda
