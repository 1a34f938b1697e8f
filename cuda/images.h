#pragma once

#include "backend.h"
#include "ssim_math.h"

namespace fused_ssim::detail::cuda {

/// What the compiler knows of the images. Without it the kernel switches on types at
/// run time, which costs more in registers than in time.
struct AnyImages {
  static constexpr bool kMayHaveWeights = true;
  static constexpr bool kDenseRows = false;

  static FUSED_SSIM_HOST_DEVICE Element input(Element element) {
    return element;
  }
  static FUSED_SSIM_HOST_DEVICE Element target(Element element) {
    return element;
  }
  static FUSED_SSIM_HOST_DEVICE Element gradient(Element element) {
    return element;
  }
};

/// Dense rows: the pixels of a row of the images, the weights and the gradients
/// follow each other in memory.
template <Element kInput, Element kTarget, bool kWeights, bool kDense>
struct KnownImages {
  static constexpr bool kMayHaveWeights = kWeights;
  static constexpr bool kDenseRows = kDense;

  static FUSED_SSIM_HOST_DEVICE Element input(Element) {
    return kInput;
  }
  static FUSED_SSIM_HOST_DEVICE Element target(Element) {
    return kTarget;
  }
  /// A half image's may be float32.
  static FUSED_SSIM_HOST_DEVICE Element gradient(Element element) {
    return kInput == Element::kFloat32 ? kInput : element;
  }
};

} // namespace fused_ssim::detail::cuda
