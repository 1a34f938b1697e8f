#pragma once

#include "gradient_kernel.cuh"
#include "launch.h"
#include "runtime.h"
#include "value_kernel.cuh"

#include <type_traits>

namespace fused_ssim::detail::cuda {

template <typename T, int kRadius, Mode kMode, typename Images>
using Kernel = std::conditional_t<
    Policy<T, kMode>::kHasGradient,
    GradientKernel<T, kRadius, kMode, Images>,
    ValueKernel<T, kRadius, kMode, Images>>;

template <typename T, int kRadius, Mode kMode, typename Images>
__global__ void __launch_bounds__(
    Policy<T, kMode>::kThreads,
    Policy<T, kMode>::kBlocks)
    ssim_kernel(const __grid_constant__ SSIMParams<T> params) {
  if constexpr (std::is_same_v<Images, AnyImages>) {
    if (is_good(params.first_try)) {
      return;
    }
  }
  Kernel<T, kRadius, kMode, Images>(params).run();
}

template <typename T, int kRadius, Mode kMode, typename Images>
void launch_images(const SSIMParams<T>& params, unsigned blocks) {
  constexpr int kSharedBytes = Kernel<T, kRadius, kMode, Images>::kSharedBytes;
  static_assert(
      kSharedBytes <= 48 * 1024,
      "more needs a launch attribute, and does not fit sm_75; take fewer "
      "threads");
  launch(
      ssim_kernel<T, kRadius, kMode, Images>,
      blocks,
      Policy<T, kMode>::kThreads,
      kSharedBytes,
      params,
      params.early);
}

/// And planes of less than 2 GiB, so that 32 bits do for a place in one.
inline bool has_pixel_stride(const SSIMParams<float>& params, int stride) {
  const auto has = [&](const auto& image, int elements) {
    return image.data == nullptr ||
        (image.stride[3] == elements * bytes_of(image.element) &&
         (params.height + 1) * image.stride[2] < (std::int64_t(1) << 31));
  };
  return has(params.input, stride) && has(params.target, stride) &&
      has(params.grad_input, stride) && has(params.grad_target, stride) &&
      has(params.weight, 1);
}

inline bool has_known_weights(const SSIMParams<float>& params) {
  return params.weight.element == Element::kFloat32 ||
      params.weight.element == Element::kBool;
}

/// Launches the kernel for `Images` if that is what the images are.
template <Mode kMode, typename Images>
bool launch_if_known(const SSIMParams<float>& params, unsigned blocks) {
  const bool known =
      Images::input(params.input.element) == params.input.element &&
      Images::target(params.target.element) == params.target.element &&
      Images::kMayHaveWeights == (params.weight.data != nullptr) &&
      (!Images::kMayHaveWeights || has_known_weights(params)) &&
      (Images::kPixelStride == 0 ||
       has_pixel_stride(params, Images::kPixelStride));
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
  // The value kernel goes through columns, where no stride is a constant.
  constexpr bool kRows = Policy<float, kMode>::kHasGradient;
  constexpr int kDense = kRows ? 1 : 0, kInterleaved = kRows ? 3 : 0;
  using Plain = KnownImages<kFloat, kFloat, false, kDense>;
  using Permuted = KnownImages<kFloat, kFloat, false, 0>;
  using PermutedWeighted = KnownImages<kFloat, kFloat, true, 0>;
  if constexpr (kMode == Mode::kSums || kMode == Mode::kGradient) {
    using Interleaved = KnownImages<kFloat, kFloat, false, kInterleaved>;
    using Weighted = KnownImages<kFloat, kFloat, true, kDense>;
    using InterleavedWeighted = KnownImages<kFloat, kFloat, true, kInterleaved>;
    using Bytes = KnownImages<kFloat, kByte, false, kDense>;
    using InterleavedBytes = KnownImages<kFloat, kByte, false, kInterleaved>;
    using PermutedBytes = KnownImages<kFloat, kByte, false, 0>;
    using InterleavedWeightedBytes =
        KnownImages<kFloat, kByte, true, kInterleaved>;
    using PermutedWeightedBytes = KnownImages<kFloat, kByte, true, 0>;
    using Half = KnownImages<kHalf, kHalf, false, kDense>;
    using BFloat = KnownImages<kBFloat, kBFloat, false, kDense>;
    return launch_if_known<kMode, Plain>(params, blocks) ||
        launch_if_known<kMode, Interleaved>(params, blocks) ||
        launch_if_known<kMode, Permuted>(params, blocks) ||
        launch_if_known<kMode, Weighted>(params, blocks) ||
        launch_if_known<kMode, InterleavedWeighted>(params, blocks) ||
        launch_if_known<kMode, PermutedWeighted>(params, blocks) ||
        launch_if_known<kMode, Bytes>(params, blocks) ||
        launch_if_known<kMode, InterleavedBytes>(params, blocks) ||
        launch_if_known<kMode, PermutedBytes>(params, blocks) ||
        launch_if_known<kMode, InterleavedWeightedBytes>(params, blocks) ||
        launch_if_known<kMode, PermutedWeightedBytes>(params, blocks) ||
        launch_if_known<kMode, Half>(params, blocks) ||
        launch_if_known<kMode, BFloat>(params, blocks);
  } else {
    return launch_if_known<kMode, Plain>(params, blocks) ||
        launch_if_known<kMode, Permuted>(params, blocks) ||
        (kMode == Mode::kErrorMap &&
         launch_if_known<kMode, PermutedWeighted>(params, blocks));
  }
}

template <Mode kMode, typename T>
void launch_ssim(const SSIMParams<T>& params, unsigned blocks) {
  if (params.window.radius != kCommonRadius) {
    launch_images<T, 0, kMode, AnyImages>(params, blocks);
    return;
  }
  if constexpr (sizeof(T) == sizeof(float)) {
    if (params.first_try.blocks == 0 && launch_common<kMode>(params, blocks)) {
      return;
    }
  }
  launch_images<T, kCommonRadius, kMode, AnyImages>(params, blocks);
}

} // namespace fused_ssim::detail::cuda
