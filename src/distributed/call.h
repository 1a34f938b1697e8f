#pragma once

// The first message of a call: each rank tells the others its arguments.

#include "../objective.h"
#include "../split.h"
#include "group.h"

#include <fused_ssim/options.h>

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace fused_ssim::detail {

/// The arguments of one rank.
struct Call {
  const Objective& objective;
  const torch::Tensor& input; // [N, C, h, W] or [C, h, W]
  const torch::Tensor& target; // as input
  const torch::Tensor& mask; // see functional.h; may be undefined
  ErrorMap error_map;
};

/// What a rank knows about the others after a successful exchange.
struct Agreement {
  std::vector<split::Rows> rows; // [ranks] of the whole image
  std::vector<std::int64_t> halo; // [ranks] rows wanted on each side of these
  std::int64_t height = 0; // of the whole image

  /// The rows of the whole image that `rank` works on.
  split::Rows seen_by(std::size_t rank) const {
    return split::intersection(
        {rows[rank].begin - halo[rank], rows[rank].end + halo[rank]},
        {0, height});
  }
};

/// Collective. `check` throws c10::Error for bad arguments of this rank. If one rank's
/// does, or if the calls differ, every rank throws the same c10::Error.
Agreement agree(
    const Call& call,
    std::int64_t halo, // rows that this rank wants on each side of its own
    const Group& group,
    const std::function<void()>& check);

} // namespace fused_ssim::detail
