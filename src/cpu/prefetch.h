#pragma once

#include "lane_layout.h"
#include "planes.h"

namespace fused_ssim::detail::cpu {
namespace {

/// Brings the rows of a coming block nearer, a few cache lines at a time: the next
/// rows lie in too many places for the processor to foresee.
class Prefetch {
 public:
  /// Rows `first` .. first + kBlockRows of one channel, as far as the image has them,
  /// from `column` on, `columns_a_step` columns for each step.
  Prefetch(
      std::int64_t first,
      std::int64_t height,
      std::int64_t column,
      int columns_a_step)
      : first_(first),
        height_(height),
        column_(column),
        columns_a_step_(columns_a_step) {}

  /// A channel of a tile. Of what the channels share, as interleaved pixels, each of
  /// them brings a part.
  template <typename ViewType>
  void add(const ViewType& view, const Tile& tile, std::int64_t channel) {
    if (view.data == nullptr) {
      return;
    }
    const bool shared = is_interleaved(view, tile) || view.stride[1] == 0;
    Rows& rows = all_[count_++];
    rows.mine = 0;
    for (int t = 0; t < kBlockRows; ++t) {
      const bool mine = !shared || t % tile.channels == channel;
      rows.mine |= static_cast<unsigned>(mine) << t;
    }
    rows.step = columns_a_step_ * view.stride[3] * bytes_of(view.element);
    const std::int64_t bytes = rows.step < 0 ? -rows.step : rows.step;
    rows.every = 1;
    while (rows.every * bytes < kLine && rows.every < kLine) {
      rows.every *= 2;
    }
    // Pixels further apart than those of four interleaved floats share no line.
    rows.lines =
        bytes <= kMaxLines * kLine ? round_up(bytes, kLine) / kLine : 1;
    for (int t = 0; t < kBlockRows; ++t) {
      std::int64_t row = first_ + t;
      row = row < 0 ? 0 : row >= height_ ? height_ - 1 : row;
      rows.begin[t] =
          address(view, tile.image, tile.channel + channel, row, column_);
    }
  }

  /// Before touch() is called for the columns of step i.
  FUSED_SSIM_INLINE void step(std::int64_t i) {
    lines_ = 0;
    for (int k = 0; k < count_; ++k) {
      const Rows& rows = all_[k];
      if ((i & (rows.every - 1)) == 0) {
        for (std::int64_t more = 0; more < rows.lines; ++more) {
          line_rows_[lines_] = &rows;
          line_offset_[lines_++] = i * rows.step + more * kLine;
        }
      }
    }
  }

  /// Row t.
  FUSED_SSIM_INLINE void touch(int t) const {
    for (int k = 0; k < lines_; ++k) {
      const Rows& rows = *line_rows_[k];
      if (rows.mine >> t & 1) {
        touch_line(rows.begin[t] + line_offset_[k]);
      }
    }
  }

 private:
  static constexpr int kLine = 64; // bytes
  static constexpr int kMaxViews = 5, kMaxLines = 4;

  struct Rows {
    unsigned mine; // bit t: this channel brings row t
    std::int64_t step; // in bytes
    std::int64_t every; // steps that share a cache line
    std::int64_t lines; // cache lines of a step
    const char* begin[kBlockRows];
  };

  static FUSED_SSIM_INLINE void touch_line(const char* line) {
#if defined(__GNUC__)
    __builtin_prefetch(line);
#else
    static_cast<void>(line);
#endif
  }

  std::int64_t first_, height_, column_;
  int columns_a_step_;
  int count_ = 0;
  Rows all_[kMaxViews];
  // The cache lines of a step.
  int lines_ = 0;
  const Rows* line_rows_[kMaxViews * kMaxLines];
  std::int64_t line_offset_[kMaxViews * kMaxLines];
};

} // namespace
} // namespace fused_ssim::detail::cpu
