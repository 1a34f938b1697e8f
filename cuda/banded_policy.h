#pragma once

// The shape of a block of the banded kernel, and how it lays out its shared memory.

#include "params.h"
#include "policy.h"

namespace fused_ssim::detail::cuda {

constexpr int kBlock = 16; // rows and columns of a block
constexpr int kOperandBytes = 1024; // a block of a map as pairs of float16

/// Blocks side by side that a result is computed from, the newest included: 2 for
/// windows up to 17, 3 for larger ones.
constexpr int span_of_radius(int radius) {
  return radius <= kBlock / 2 ? 2 : 3;
}

struct BandedParams {
  SSIMParams<float> ssim; // `strip_length` counts rows of blocks
  int strip_blocks; // width of a strip, in blocks
  float partial_scale; // of the partial derivatives, as float16 holds them
  bool wide_loads; // 16 bytes at once of the images
  bool wide_stores; // 8 bytes at once of the gradients
};

template <Mode kMode, int kSpan>
struct BandedPolicy {
  static constexpr bool kHasGradient = Policy<float, kMode>::kHasGradient;
  static constexpr int kPartials = kMode == Mode::kBothGradients ? 4
      : kHasGradient                                             ? 3
                                                                 : 0;
  /// Blocks before the newest one.
  static constexpr int kBehind = kSpan - 1;
  /// Registers for two warps a scheduler without spills, or for three. Shared memory
  /// leaves little of the first cache, so that spills are dear: 12 warps with 280 bytes
  /// of them took 555 us where 8 without take 335. With three blocks a warp keeps so
  /// much in shared memory that there is room for fewer.
  static constexpr int kWarps = (kHasGradient ? 8 : 12) /
      (kSpan == 2         ? 1
           : kHasGradient ? 2
                          : 1);
  /// A product's results lie so many pixels before the newest of its inputs.
  static constexpr int kHalf = kBlock * kBehind / 2;
  /// So the first block begins so many pixels before the strip, and there are so many
  /// blocks more than a strip is wide.
  static constexpr int kBefore = (kHasGradient ? 2 : 1) * kHalf;
  static constexpr int kLead = 2 * kBefore / kBlock;
  /// The blocks to the left: in registers if there is one, else in shared memory.
  static constexpr bool kLeftShared = kBehind > 1;

  /// Where things lie in shared memory.
  struct Layout {
    int forward, backward; // history, [columns of blocks][kBehind][maps]
    int signals; // [kWarps][forward, backward][columns of blocks]
    int stage; // [kWarps][input, target]
    int stash; // [kWarps][this step's, the last kBehind ones'][s, d]
    int left; // [kWarps][kBehind][maps, partial derivatives]
    int bytes;
  };

  /// 64 bytes, and 16 against bank conflicts.
  static constexpr int kStageRow = 80;
  static constexpr int kStageBytes = kBlock * kStageRow;
  static constexpr int kStashBytes =
      kHasGradient ? kSpan * 2 * kOperandBytes : 0;
  static constexpr int kLeftBytes =
      kLeftShared ? kBehind * (4 + kPartials) * kOperandBytes : 0;

  static FUSED_SSIM_HOST_DEVICE Layout layout(int strip_blocks) {
    const int columns = strip_blocks + kLead;
    Layout at{};
    at.forward = kWarps * 16; // after the scratch of sums
    at.backward = at.forward + columns * kBehind * 4 * kOperandBytes;
    at.signals = at.backward + columns * kBehind * kPartials * kOperandBytes;
    at.stage = at.signals + kWarps * columns * 16;
    at.stash = at.stage + kWarps * 2 * kStageBytes;
    at.left = at.stash + kWarps * kStashBytes;
    at.bytes = at.left + kWarps * kLeftBytes;
    return at;
  }
};

} // namespace fused_ssim::detail::cuda
