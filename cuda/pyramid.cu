#include "pyramid_kernels.cuh"
#include "runtime.h"

#include <algorithm>

namespace fused_ssim::detail::cuda {
namespace {

/// A few waves of any device.
constexpr std::int64_t kPyramidBlocks = 2048;

/// Rounds of a single block that take no longer than another launch.
constexpr std::int64_t kRoundsAlone = 4;

template <typename T>
void launch_halve(const HalveParams& params) {
  const auto tiles = tiles_of(params);
  const auto blocks =
      2 * params.batch * params.channels * tiles.rows * tiles.columns;
  launch(
      halve_kernel<T>,
      static_cast<unsigned>(blocks),
      kPyramidThreads,
      kHalveSharedBytes<T>,
      params);
}

} // namespace

void halve(const Halving* halvings, int count, int device) {
  const DeviceScope scope(device);
  for (int first = 0; first < count; first += kHalvings) {
    const Halving& begin = halvings[first];
    HalveParams params{};
    params.count = std::min(count - first, kHalvings);
    for (int i = 0; i < 2; ++i) {
      params.from[i] = image_of(begin.from[i]);
      for (int k = 0; k < params.count; ++k) {
        params.to[k][i] = image_of(halvings[first + k].to[i]);
      }
    }
    params.batch = begin.batch;
    params.channels = static_cast<int>(begin.channels);
    params.height = static_cast<int>(begin.height);
    params.width = static_cast<int>(begin.width);
    if (begin.to[0].element == Element::kFloat64) {
      launch_halve<double>(params);
    } else {
      launch_halve<float>(params);
    }
  }
}

void combine(const Combination& combination, int device) {
  const DeviceScope scope(device);
  const auto launch_combine = [&](void (*kernel)(Combination),
                                  std::int64_t blocks) {
    launch(
        kernel,
        static_cast<unsigned>(std::min(blocks, kPyramidBlocks)),
        kCombineThreads,
        kCombineSharedBytes,
        combination,
        /*early=*/true);
  };
  const std::int64_t rounds =
      (combination.planes() + kCombineWarps - 1) / kCombineWarps;
  launch_combine(products_kernel, rounds <= kRoundsAlone ? 1 : rounds);
  if (rounds > kRoundsAlone) {
    launch_combine(value_kernel, 1);
  }
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
  const std::int64_t pairs =
      params.batch * params.channels * halved(params.height);
  const auto launch_descend = [&](void (*kernel)(DescendParams)) {
    launch(
        kernel,
        static_cast<unsigned>(std::min(pairs, kPyramidBlocks)),
        kPyramidThreads,
        0,
        params);
  };
  constexpr int kUsual = 4; // scales but for the finest one
  constexpr int kMost = kMaxScales - 1;
  if (params.scales <= kUsual + 1) {
    launch_descend(
        wide ? descend_kernel<double, kUsual> : descend_kernel<float, kUsual>);
  } else {
    launch_descend(
        wide ? descend_kernel<double, kMost> : descend_kernel<float, kMost>);
  }
}

} // namespace fused_ssim::detail::cuda
