#pragma once

#include <fused_ssim/fused_ssim.h>

#include <torch/torch.h>

#include <cstdint>
#include <string>

namespace fused_ssim::bench {

struct Shape {
  std::int64_t batch, channels, height, width;

  std::int64_t values() const {
    return batch * channels * height * width;
  }
  /// "1080x1920" for one image of 3 channels, "5x5x1080x1920" for others, and
  /// "none" for a shape without values.
  std::string name() const;
};

/// The difference from the usual problem: contiguous float32 images, a gradient
/// to the input, and a window of 11.
enum class Variant {
  kFloat32,
  kUInt8Target,
  kUInt8HWC, // [H, W, 3] in memory
  kUInt8RGBA, // [H, W, 4] in memory, seen as three channels
  kPermuted,
  kBFloat16,
  kFloat16,
  kFloat64,
  kMask,
  kPermutedMask,
  kPermutedUInt8Target,
  kPermutedMaskUInt8Target,
  kBothGradients,
  kMap,
  kSmoothL1,
  kErrorMap, // in value_and_grad: ErrorMap::kDSSIM
  kErrorMapOfLoss, // ErrorMap::kLoss
  kWindow3,
  kWindow5,
  kWindow7,
  kWindow9,
  kWindow13,
  kWindow15,
  kWindow17,
  kWindow19,
  kWindow31,
};

const char* name(Variant variant);

/// The images and options of one call.
struct Problem {
  torch::Tensor input; // [C, H, W], or [N, C, H, W] where N > 1; requires grad
  torch::Tensor target; // as input, or uint8; requires grad for kBothGradients
  torch::Tensor mask; // [H, W], or undefined
  L1DSSIMLossOptions options;
  ErrorMap error_map = ErrorMap::kNone;

  SSIMOptions ssim_options() const;
  MSSSIMOptions ms_ssim_options() const;
};

/// The images are the same for each variant, except for rounding. They are made
/// at the first call and kept. scripts/compare_peers.py makes the same images
/// from the same seed.
const Problem& problem(Shape shape, Variant variant, torch::Device device);

} // namespace fused_ssim::bench
