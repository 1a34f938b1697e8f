#pragma once

#include "launch.h"
#include "runtime.h"
#include "ssim_kernel.cuh"

namespace fused_ssim::detail::cuda {

/// The window of 11 has kernels of its own; others share one that takes the radius
/// at run time.
constexpr int kCommonRadius = 5;

template <typename T, int kRadius, Mode kMode, typename Images>
void launch_images(const SSIMParams<T>& params, unsigned blocks) {
  launch(
      ssim_kernel<T, kRadius, kMode, Images>,
      blocks,
      Policy<T, kMode>::kThreads,
      StripKernel<T, kRadius, kMode, Images>::kSharedBytes,
      params);
}

/// Launches the kernel for `Images` if that is what the images are.
template <Mode kMode, typename Images>
bool launch_if_known(const SSIMParams<float>& params, unsigned blocks) {
  const bool known =
      Images::input(params.input.element) == params.input.element &&
      Images::target(params.target.element) == params.target.element &&
      Images::kMayHaveWeights == (params.weight.data != nullptr);
  if (known) {
    launch_images<float, kCommonRadius, kMode, Images>(params, blocks);
  }
  return known;
}

/// What trainers hand over has kernels of its own.
template <Mode kMode>
bool launch_common(const SSIMParams<float>& params, unsigned blocks) {
  constexpr auto kFloat = Element::kFloat32;
  constexpr auto kHalf = Element::kFloat16;
  constexpr auto kBFloat = Element::kBFloat16;
  constexpr auto kByte = Element::kUInt8;
  using Plain = KnownImages<kFloat, kFloat, false>;
  if constexpr (kMode == Mode::kSums || kMode == Mode::kGradient) {
    using Weighted = KnownImages<kFloat, kFloat, true>;
    using Bytes = KnownImages<kFloat, kByte, false>;
    using Half = KnownImages<kHalf, kHalf, false>;
    using BFloat = KnownImages<kBFloat, kBFloat, false>;
    return launch_if_known<kMode, Plain>(params, blocks) ||
        launch_if_known<kMode, Weighted>(params, blocks) ||
        launch_if_known<kMode, Bytes>(params, blocks) ||
        launch_if_known<kMode, Half>(params, blocks) ||
        launch_if_known<kMode, BFloat>(params, blocks);
  } else if constexpr (kMode == Mode::kBothGradients) {
    return launch_if_known<kMode, Plain>(params, blocks);
  }
  return false;
}

template <Mode kMode, typename T>
void launch_ssim(const SSIMParams<T>& params, unsigned blocks) {
  if (params.window.radius != kCommonRadius) {
    launch_images<T, 0, kMode, AnyImages>(params, blocks);
    return;
  }
  if constexpr (sizeof(T) == sizeof(float)) {
    if (launch_common<kMode>(params, blocks)) {
      return;
    }
  }
  launch_images<T, kCommonRadius, kMode, AnyImages>(params, blocks);
}

} // namespace fused_ssim::detail::cuda
