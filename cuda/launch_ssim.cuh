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

/// What trainers hand over has kernels of its own; the rest shares one.
template <Mode kMode>
void launch_common(const SSIMParams<float>& params, unsigned blocks) {
  constexpr auto kFloat = Element::kFloat32;
  constexpr auto kHalf = Element::kFloat16;
  constexpr auto kBFloat = Element::kBFloat16;
  constexpr auto kByte = Element::kUInt8;
  const bool weights = params.weight.data != nullptr;
  const auto are = [&](Element input, Element target) {
    return params.input.element == input && params.target.element == target;
  };
  if (are(kFloat, kFloat) && weights) {
    launch_images<
        float,
        kCommonRadius,
        kMode,
        KnownImages<kFloat, kFloat, true>>(params, blocks);
  } else if (weights) {
    launch_images<float, kCommonRadius, kMode, AnyImages>(params, blocks);
  } else if (are(kFloat, kFloat)) {
    launch_images<
        float,
        kCommonRadius,
        kMode,
        KnownImages<kFloat, kFloat, false>>(params, blocks);
  } else if (are(kFloat, kByte)) {
    launch_images<
        float,
        kCommonRadius,
        kMode,
        KnownImages<kFloat, kByte, false>>(params, blocks);
  } else if (are(kHalf, kHalf)) {
    launch_images<
        float,
        kCommonRadius,
        kMode,
        KnownImages<kHalf, kHalf, false>>(params, blocks);
  } else if (are(kBFloat, kBFloat)) {
    launch_images<
        float,
        kCommonRadius,
        kMode,
        KnownImages<kBFloat, kBFloat, false>>(params, blocks);
  } else {
    launch_images<float, kCommonRadius, kMode, AnyImages>(params, blocks);
  }
}

template <Mode kMode, typename T>
void launch_ssim(const SSIMParams<T>& params, unsigned blocks) {
  constexpr bool kCommonMode = kMode == Mode::kSums || kMode == Mode::kGradient;
  if (params.window.radius != kCommonRadius) {
    launch_images<T, 0, kMode, AnyImages>(params, blocks);
  } else if constexpr (sizeof(T) == 4 && kCommonMode) {
    launch_common<kMode>(params, blocks);
  } else {
    launch_images<T, kCommonRadius, kMode, AnyImages>(params, blocks);
  }
}

} // namespace fused_ssim::detail::cuda
