#pragma once

// How a batch of images is cut into tiles. The cut depends on the problem
// alone, never on the number of threads, so that the results do not either.

#include "../backend.h"

#include <cstdint>

namespace fused_ssim::detail::cpu {

constexpr int kMaxTileChannels = 4;

/// A rectangle of some channels of one image: what one task computes.
struct Tile {
  std::int64_t image;
  std::int64_t channel, channels; // the first one, and how many
  std::int64_t row_begin, row_end, column_begin, column_end;
};

class Plan {
 public:
  explicit Plan(const Problem& problem);

  std::int64_t tiles() const {
    return batch_ * strips_ * columns_ * channel_groups_;
  }
  /// Channels innermost: those of interleaved images ([H, W, C] in memory)
  /// share their cache lines.
  Tile tile(std::int64_t index) const;

  /// The most channels, rows and columns that a tile has.
  std::int64_t tile_channels() const {
    return tile_channels_;
  }
  std::int64_t tile_height() const {
    return tile_height_;
  }
  std::int64_t tile_width() const {
    return tile_width_;
  }

 private:
  std::int64_t batch_;
  Region region_; // that the tiles cover
  std::int64_t tile_channels_, channel_groups_; // a pixel is so many tiles deep
  std::int64_t strips_, columns_; // a channel is strips_ x columns_ tiles
  std::int64_t tile_height_, tile_width_;
};

} // namespace fused_ssim::detail::cpu
