#pragma once

#include <algorithm>
#include <cstdint>

namespace fused_ssim::detail::cuda {

/// How an image is cut: into strips of columns, each of them into `splits` items
/// of `strip_height` rows.
struct Plan {
  int strips, splits, strip_height;
  std::int64_t items;
};

/// The fewest steps in the last block to end. An item takes
/// (strip_height + halo_rows) / rows steps and some time to start; all items are
/// dealt to `slots` blocks that run at once.
inline Plan make_plan(
    std::int64_t planes,
    int height,
    int width,
    int strip_width,
    int halo_rows,
    int rows,
    std::int64_t slots) {
  constexpr int kStartSteps = 2;
  const int strips = (width + strip_width - 1) / strip_width;
  const std::int64_t columns = planes * strips;
  Plan best{};
  std::int64_t best_cost = -1;
  for (int splits = 1; splits <= height; ++splits) {
    // The last step is full when the rows with their halo are a multiple of it.
    int strip_height = (height + splits - 1) / splits + halo_rows;
    strip_height = (strip_height + rows - 1) / rows * rows - halo_rows;
    const int used = (height + strip_height - 1) / strip_height;
    const std::int64_t waves = (columns * used + slots - 1) / slots;
    const std::int64_t cost =
        waves * ((strip_height + halo_rows) / rows + kStartSteps);
    if (best_cost < 0 || cost < best_cost) {
      best_cost = cost;
      best = {strips, used, strip_height, columns * used};
    }
    if (strip_height <= rows || columns * used >= 16 * slots) {
      break; // smaller items only have more halo
    }
  }
  return best;
}

} // namespace fused_ssim::detail::cuda
