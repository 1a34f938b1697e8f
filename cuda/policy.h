#pragma once

// Tuning, apart from the code: nothing here changes a result's meaning. Figures are of
// an H200, value and gradient at 3x2160x3840, more of them in docs/performance.md. Other
// devices take the same values: 41 KiB of shared memory and 128 registers a thread
// fit all from sm_75 on, one block instead of two on sm_75.

#include "ssim_math.h"

namespace fused_ssim::detail::cuda {

/// What a kernel delivers besides the sums.
enum class Mode {
  kSums,
  kMap,
  kGradient,
  kBothGradients,
  kErrorMap, // and the gradient
};

/// Windows of up to 11 have kernels of their own.
constexpr int kCommonRadius = 5;

/// A block's shape.
template <typename T, Mode kMode>
struct Policy {
  static constexpr bool kHasGradient = kMode == Mode::kGradient ||
      kMode == Mode::kBothGradients || kMode == Mode::kErrorMap;
  /// A thread owns a column in the vertical phase, a warp a row in the horizontal
  /// one; so a step takes as many rows as the block has warps. 128 threads, four
  /// blocks at once: 426 us instead of 339, for the wider share of halo.
  static constexpr int kThreads = sizeof(T) == 8 ? 128 : 256;
  static constexpr int kRows = kThreads / 32;
  /// Blocks that a multiprocessor holds at once: the compiler's budget of 128
  /// registers, of which the partial sums take 70. Three leave 80: they would spill.
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
  /// segments end no sooner, and two share a multiprocessor: 3x256x256 takes 30.6 us
  /// with 4 rows, 26.3 with 12.
  static constexpr int min_rows(int radius) {
    const int rows = 4 * kRows - halo_rows(radius);
    return rows > kRows ? rows : kRows;
  }
};

/// Blocks at most; each leaves 16 bytes of partial sums. Twice as many as any device
/// has multiprocessors would do.
constexpr int kMaxBlocks = 1024;

} // namespace fused_ssim::detail::cuda
