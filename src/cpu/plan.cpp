#include "plan.h"

#include <algorithm>

namespace fused_ssim::detail::cpu {
namespace {

// Tuning, measured on an AMD EPYC (Zen 4, 1 MiB of L2 a core). docs/performance.md
// has the figures.
constexpr std::int64_t kMaxTileWidth = 1024;
/// The width of all channels together, if a tile has several. Three channels of 492 columns,
/// and the 10 that a gradient reads on either side, fill 32 positions of 16 lanes.
constexpr std::int64_t kMaxTileWidths = 3 * 492;
constexpr std::int64_t kMaxTileHeight = 270;
/// Tiles are marched through in blocks of so many rows (kBlockRows of lane_layout.h).
constexpr std::int64_t kRowAlignment = 8;
/// Twice the radius that the width is tuned for.
constexpr std::int64_t kUsualHalo = 10;

/// Pixels of a batch from which on a tile takes all channels of interleaved images.
/// Below, there would be too few tiles for several threads.
constexpr std::int64_t kMinPixelsForAllChannels = 1 << 18;

bool is_interleaved(const View& view, std::int64_t channels) {
  return view.stride[1] == 1 && view.stride[3] == channels;
}

/// Interleaved images are read and written once, not once for each channel. Sums per
/// plane are those of tiles of one channel.
std::int64_t channels_of_tiles(const Problem& problem) {
  const std::int64_t channels = problem.channels;
  const bool pays = is_interleaved(problem.input, channels) ||
      is_interleaved(problem.target, channels);
  const std::int64_t pixels =
      problem.batch * problem.own_region.rows() * problem.own_region.columns();
  return (channels == 3 || channels == 4) && pays && !problem.per_plane &&
          pixels >= kMinPixelsForAllChannels
      ? channels
      : 1;
}

std::int64_t div_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

} // namespace

Plan::Plan(const Problem& problem)
    : batch_(problem.batch),
      region_(problem.own_region),
      tile_channels_(channels_of_tiles(problem)),
      channel_groups_(problem.channels / tile_channels_) {
  // With larger windows more rows are kept: the tile gets narrower, so that they
  // take no more memory.
  const std::int64_t halo = 2 * problem.window.radius;
  const std::int64_t usual_width =
      tile_channels_ == 1 ? kMaxTileWidth : kMaxTileWidths / tile_channels_;
  std::int64_t max_width = std::min(
      usual_width,
      usual_width * (kUsualHalo + kRowAlignment) / (halo + kRowAlignment));
  if (problem.input.element == Element::kFloat64) {
    max_width /= 2;
  }
  columns_ = div_up(region_.columns(), max_width);
  tile_width_ = div_up(region_.columns(), columns_);
  columns_ = div_up(region_.columns(), tile_width_);
  // With a gradient a tile of h rows works on h + 2 radius rows of the map:
  // make that a whole number of blocks.
  strips_ = div_up(region_.rows(), kMaxTileHeight);
  tile_height_ = div_up(region_.rows(), strips_);
  tile_height_ =
      div_up(tile_height_ + halo, kRowAlignment) * kRowAlignment - halo;
  tile_height_ = std::max<std::int64_t>(tile_height_, 1);
  strips_ = div_up(region_.rows(), tile_height_);
}

Tile Plan::tile(std::int64_t index) const {
  Tile tile;
  tile.channels = tile_channels_;
  tile.channel = index % channel_groups_ * tile_channels_;
  index /= channel_groups_;
  tile.column_begin = region_.column_begin + index % columns_ * tile_width_;
  tile.column_end =
      std::min(tile.column_begin + tile_width_, region_.column_end);
  index /= columns_;
  tile.row_begin = region_.row_begin + index % strips_ * tile_height_;
  tile.row_end = std::min(tile.row_begin + tile_height_, region_.row_end);
  tile.image = index / strips_;
  return tile;
}

} // namespace fused_ssim::detail::cpu
