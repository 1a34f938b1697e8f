#pragma once

#include "backend.h"
#include "ssim_math.h"

namespace fused_ssim::detail::cuda {

/// What the compiler knows of the images. Without it the kernel switches on types at
/// run time, which costs more in registers than in time.
struct AnyImages {
  static constexpr bool kKnown = false;
  static constexpr bool kMayHaveWeights = true;
  static constexpr int kPixelStride = 0;

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

/// kStride: elements from a pixel of the images and the gradients to the one beside it, 1
/// or, with three channels interleaved, 3. The weights in a row then follow each other. 0:
/// not known. Weights are float32 or bool.
template <Element kInput, Element kTarget, bool kWeights, int kStride>
struct KnownImages {
  static constexpr bool kKnown = true;
  static constexpr bool kMayHaveWeights = kWeights;
  static constexpr int kPixelStride = kStride;

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
