#pragma once

// The shape of a block of the banded kernel, and how it lays out its shared memory.

#include "params.h"
#include "policy.h"

namespace fused_ssim::detail::cuda {

constexpr int kBlock = 16; // rows and columns of a block
constexpr int kMaxBandRadius = kBlock / 2;
constexpr int kOperandBytes =
    1024; // of a block of one map, as pairs of float16

struct BandedParams {
  SSIMParams<float> ssim; // `strip_length` counts rows of blocks
  int strip_blocks; // width of a strip, in blocks
  float partial_scale; // of the partial derivatives, as float16 holds them
  bool wide_loads; // 16 bytes at once of the images
  bool wide_stores; // 8 bytes at once of the gradients
};

template <Mode kMode>
struct BandedPolicy {
  static constexpr bool kHasGradient = Policy<float, kMode>::kHasGradient;
  static constexpr int kPartials = kMode == Mode::kBothGradients ? 4
      : kHasGradient                                             ? 3
                                                                 : 0;
  /// Registers for two warps a scheduler without spills, or for three. Shared memory
  /// leaves little of the first cache, so that spills are dear: 12 warps with 280 bytes
  /// of them took 555 us where 8 without take 335.
  static constexpr int kWarps = kHasGradient ? 8 : 12;
  /// A product's results lie half a block before the newest of its inputs, so the
  /// first block begins so many pixels before the strip, and there are so many blocks
  /// more than a strip is wide.
  static constexpr int kBefore = kHasGradient ? kBlock : kBlock / 2;
  static constexpr int kLead = 2 * kBefore / kBlock;

  /// Where things lie in shared memory.
  struct Layout {
    int forward, backward; // history, [columns of blocks][maps]
    int signals; // [kWarps][forward, backward][columns of blocks]
    int stage; // [kWarps][input, target]
    int stash; // [kWarps][this step's, the last one's][s, d]
    int bytes;
  };

  static constexpr int kStageRow =
      80; // bytes; 64, and 16 against bank conflicts
  static constexpr int kStageBytes = kBlock * kStageRow;

  static FUSED_SSIM_HOST_DEVICE Layout layout(int strip_blocks) {
    const int columns = strip_blocks + kLead;
    Layout at{};
    at.forward = kWarps * 16; // after the scratch of sums
    at.backward = at.forward + columns * 4 * kOperandBytes;
    at.signals = at.backward + columns * kPartials * kOperandBytes;
    at.stage = at.signals + kWarps * columns * 16;
    at.stash = at.stage + kWarps * 2 * kStageBytes;
    at.bytes = at.stash + (kHasGradient ? kWarps * 4 * kOperandBytes : 0);
    return at;
  }
};

} // namespace fused_ssim::detail::cuda
