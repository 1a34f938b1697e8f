#pragma once

// Tuning, apart from the code: nothing here changes a result's meaning.

#include "ssim_math.h"

namespace fused_ssim::detail::cuda {

/// What a kernel delivers besides the sums.
enum class Mode { kSums, kMap, kGradient, kBothGradients };

/// A block's shape.
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

  /// Columns of a strip; the threads' columns reach beyond it on both sides.
  static FUSED_SSIM_HOST_DEVICE constexpr int strip_width(int radius) {
    return kThreads - 2 * radius;
  }

  /// Rows that a block takes in addition to those of a segment.
  static constexpr int halo_rows(int radius) {
    return kHasGradient ? 4 * radius : 2 * radius;
  }

  /// A block takes no fewer rows: four steps with their halo. More and shorter
  /// segments would end no sooner, and keep others from running.
  static constexpr int min_rows(int radius) {
    const int rows = 4 * kRows - halo_rows(radius);
    return rows > kRows ? rows : kRows;
  }
};

/// Blocks at most; each leaves 16 bytes of partial sums. Twice as many as any device
/// has multiprocessors would do.
constexpr int kMaxBlocks = 1024;

} // namespace fused_ssim::detail::cuda
