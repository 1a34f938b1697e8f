#include "pyramid_kernels.cuh"
#include "runtime.h"

#include <algorithm>

namespace fused_ssim::detail::cuda {
namespace {

/// A few waves of any device.
constexpr std::int64_t kPyramidBlocks = 2048;

unsigned blocks_for(std::int64_t items) {
  return static_cast<unsigned>(std::min(items, kPyramidBlocks));
}

template <typename Params>
void launch_pyramid(
    void (*kernel)(Params),
    std::int64_t items,
    const Params& params,
    bool early = false) {
  launch(
      kernel,
      blocks_for(items),
      kPyramidThreads,
      kPyramidSharedBytes,
      params,
      early);
}

} // namespace

void halve(const Halving& halving, int device) {
  const DeviceScope scope(device);
  HalveParams params{};
  for (int i = 0; i < 2; ++i) {
    params.from[i] = image_of(halving.from[i]);
    params.to[i] = image_of(halving.to[i]);
  }
  params.batch = halving.batch;
  params.channels = static_cast<int>(halving.channels);
  params.height = static_cast<int>(halving.height);
  params.width = static_cast<int>(halving.width);
  const bool wide = halving.to[0].element == Element::kFloat64;
  launch_pyramid(
      wide ? halve_kernel<double> : halve_kernel<float>,
      2 * params.batch * params.channels * halved(params.height),
      params);
}

void combine(const Combination& combination, int device) {
  const DeviceScope scope(device);
  launch_pyramid(
      products_kernel,
      (combination.planes() + kPyramidWarps - 1) / kPyramidWarps,
      combination,
      /*early=*/true);
  launch_pyramid(combine_kernel, 1, combination, /*early=*/true);
}

void descend(const Descent& descent, int device) {
  const DeviceScope scope(device);
  DescendParams params{};
  params.scales = descent.scales;
  for (int scale = 0; scale < descent.scales; ++scale) {
    params.gradients[scale] = image_of(descent.gradients[scale]);
  }
  params.factors = descent.factors;
  params.upstream = image_of(descent.upstream);
  params.result = image_of(descent.result);
  params.batch = descent.batch;
  params.channels = static_cast<int>(descent.channels);
  params.height = static_cast<int>(descent.height);
  params.width = static_cast<int>(descent.width);
  const bool wide = descent.gradients[0].element == Element::kFloat64;
  launch_pyramid(
      wide ? descend_kernel<double> : descend_kernel<float>,
      params.batch * params.channels * halved(params.height),
      params);
}

} // namespace fused_ssim::detail::cuda
