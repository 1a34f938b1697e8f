#pragma once

// Tuning, apart from the code: nothing here changes a result's meaning.

#include "ssim_math.h"

namespace fused_ssim::detail::cuda {

/// What a kernel delivers besides the sums.
enum class Mode { kSums, kMap, kGradient, kBothGradients };

/// A block's columns and its halo. NOTE [ One pass ]
template <typename T, Mode kMode>
struct Policy {
  static constexpr bool kHasGradient =
      kMode == Mode::kGradient || kMode == Mode::kBothGradients;
  /// A thread owns a column in the vertical phase, a warp a row in the horizontal
  /// one; so a step takes as many rows as the block has warps.
  static constexpr int kThreads = sizeof(T) == 8 ? 128 : 256;
  static constexpr int kRows = kThreads / 32;
  /// Blocks that a multiprocessor holds at once: the compiler's register budget
  /// and the planner's estimate.
  static constexpr int kBlocks = 2;

  /// Rows and columns that a block needs on each side of those it covers.
  static FUSED_SSIM_HOST_DEVICE constexpr int margin(int radius) {
    return kHasGradient ? 2 * radius : radius;
  }

  /// Columns that a block covers.
  static FUSED_SSIM_HOST_DEVICE constexpr int strip_width(int radius) {
    return kThreads - 2 * margin(radius);
  }
};

/// Blocks at most; each leaves 16 bytes of partial sums.
constexpr int kMaxBlocks = 2048;

} // namespace fused_ssim::detail::cuda
