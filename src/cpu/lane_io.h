#pragma once

// Between rows in memory and lane-strided rows.

#include "lanes.h"
#include "rows.h"

namespace fused_ssim::detail::cpu {
namespace {

/// Elements of a row that to_lanes() and from_lanes() may touch.
template <typename T>
std::int64_t staged_size(const LaneLayout<T>& lanes) {
  return lanes.positions * kLanes<T> + lanes.padded;
}

/// Transposes a row: store(i, v) for each position i < lanes.padded.
template <typename T, typename Store>
FUSED_SSIM_INLINE void to_lanes(
    const T* row, // [staged_size]
    const LaneLayout<T>& lanes,
    const Store& store) {
  constexpr int V = kLanes<T>;
  for (std::int64_t i = 0; i < lanes.padded; i += V) {
    Vec<T> a[V];
    FUSED_SSIM_UNROLL
    for (int j = 0; j < V; ++j) {
      a[j] = load(row + j * lanes.positions + i);
    }
    transpose(a);
    FUSED_SSIM_UNROLL
    for (int j = 0; j < V; ++j) {
      store(i + j, a[j]);
    }
  }
}

/// The inverse, from at(i), the address of position i. From the last position
/// to the first: what a vector writes past the end of its segment is mended
/// when the beginning of the next segment is written.
template <typename T, typename At>
FUSED_SSIM_INLINE void from_lanes(
    const At& at,
    const LaneLayout<T>& lanes,
    T* row) { // [staged_size]
  constexpr int V = kLanes<T>;
  for (std::int64_t i = lanes.padded - V; i >= 0; i -= V) {
    Vec<T> a[V];
    FUSED_SSIM_UNROLL
    for (int j = 0; j < V; ++j) {
      a[j] = load(at(i + j));
    }
    transpose(a);
    FUSED_SSIM_UNROLL
    for (int j = 0; j < V; ++j) {
      a[j].store(row + j * lanes.positions + i);
    }
  }
}

/// Brings the rows of a coming block nearer, a few cache lines at a time: what
/// is read and written next lies in too many places for the processor to
/// foresee.
template <bool kWrite>
class RowPrefetch {
 public:
  /// Rows `first` .. first + kBlockRows, as far as the image has them.
  template <typename ViewType>
  RowPrefetch(
      const ViewType& view,
      const Tile& tile,
      std::int64_t first,
      std::int64_t height,
      std::int64_t column,
      int columns_a_step)
      : step_(columns_a_step * view.stride[3] * bytes_of(view.element)) {
    const std::int64_t bytes = step_ < 0 ? -step_ : step_;
    while (every_ * bytes < kLine && every_ < kLine) {
      every_ *= 2;
    }
    // Pixels further apart than those of four interleaved floats share no line.
    lines_ = bytes <= 4 * kLine ? round_up(bytes, kLine) / kLine : 1;
    for (int t = 0; t < kBlockRows && view.data != nullptr; ++t) {
      std::int64_t row = first + t;
      row = row < 0 ? 0 : row >= height ? height - 1 : row;
      rows_[t] = address(view, tile.image, tile.channel, row, column);
    }
  }

  /// Row t, the columns of step i.
  FUSED_SSIM_INLINE void touch(int t, std::int64_t i) const {
    if ((i & (every_ - 1)) == 0) {
      const char* line = rows_[t] + i * step_;
      prefetch_line<kWrite>(line);
      for (std::int64_t more = 1; more < lines_; ++more) {
        prefetch_line<kWrite>(line + more * kLine);
      }
    }
  }

 private:
  static constexpr int kLine = 64;
  std::int64_t step_; // in bytes
  std::int64_t every_ = 1; // steps that share a cache line
  std::int64_t lines_ = 1; // cache lines of a step
  const char* rows_[kBlockRows] = {};
};

/// kBlockRows rows of results in lanes: [position][row][lane].
template <typename T>
struct LaneBlock {
  static constexpr int kPosition = kBlockRows * kLanes<T>;

  void allocate(Arena& arena, const LaneLayout<T>& lanes) {
    origin = arena.take<T>(lanes.padded * kPosition);
  }
  FUSED_SSIM_INLINE T* at(std::int64_t position, int row) const {
    return origin + position * kPosition + row * kLanes<T>;
  }

  T* origin = nullptr;
};

} // namespace
} // namespace fused_ssim::detail::cpu
