#pragma once

#include "arena.h"
#include "vec.h"

#include <cstdint>

namespace fused_ssim::detail::cpu {
namespace {

// NOTE [ Lane-strided rows ]
//
// In a row as it lies in memory, the 2 radius + 1 inputs of a horizontal blur are
// vectors at odd addresses. Most of them cross a cache line. So a row of up to V L
// columns is cut into V segments of L columns, where V is the number of lanes of a
// vector. Lane j of the vector at *position* i holds column j L + i. With V = 4 and
// L = 5:
//
//   column   0  1  2  3  4 | 5  6  7  8  9 |10 11 12 13 14 |15 16 17 18 19
//
//   position      -2    -1      0     1     2     3     4      5     6
//   lane 0       [ x     x  ]   0     1     2     3     4    [ 5     6 ]
//   lane 1       [ 3     4  ]   5     6     7     8     9    [10    11 ]
//   lane 2       [ 8     9  ]  10    11    12    13    14    [15    16 ]
//   lane 3       [13    14  ]  15    16    17    18    19    [ x     x ]
//                    halo                                       halo
//
// A step to the next column is a step to the next position in all lanes, and each
// input of a blur is one aligned load. The halo repeats the neighbour segment, shifted
// by a lane; x is outside of the row. Rows are transposed into this layout when they
// are read and back when they are written, and nowhere else (transpose.h).
//
// kChunkRows rows lie side by side, and so do the quantities that are blurred
// together: [position][row][quantity][lane]. Hence the inputs of vertical and
// horizontal blurs are at constant distances from a few base addresses.

/// Rows that a vertical blur yields at a time. With 12 or 16 it runs out of
/// registers.
constexpr int kBlockRows = 8;
/// Rows that are interleaved in memory.
constexpr int kChunkRows = 4;
constexpr int kBlockChunks = kBlockRows / kChunkRows;

/// The columns of a tile as positions and lanes.
template <typename T>
struct LaneLayout {
  LaneLayout(std::int64_t columns, int radius) : halo(radius) {
    // A halo reaches no further than the neighbour segment.
    positions = (columns + kLanes<T> - 1) / kLanes<T>;
    positions = positions < radius ? radius : positions;
    padded = round_up(positions, kLanes<T>);
  }

  /// Elements of a row in memory order that to_lanes() and from_lanes() may touch.
  std::int64_t row_size() const {
    return positions * kLanes<T> + padded;
  }

  std::int64_t positions; // L
  std::int64_t padded; // whole transposed blocks of V positions
  int halo;
};

/// kChunkRows rows of kQuantities: [position][row][quantity][lane].
template <typename T, int kQuantities>
struct Chunk {
  static constexpr int kRow = kQuantities * kLanes<T>;
  static constexpr int kPosition = kChunkRows * kRow;

  void allocate(Arena& arena, const LaneLayout<T>& lanes) {
    const std::int64_t right = lanes.positions + lanes.halo;
    origin = arena.take<T>(
        (lanes.halo + (right < lanes.padded ? lanes.padded : right)) *
        kPosition);
    if (origin != nullptr) {
      origin += lanes.halo * kPosition;
    }
  }

  FUSED_SSIM_INLINE T* at(std::int64_t position, int row, int quantity = 0)
      const {
    return origin + position * kPosition + row * kRow + quantity * kLanes<T>;
  }

  T* origin = nullptr; // position 0
};

/// kBlockRows rows of results: [position][row][lane].
template <typename T>
struct Block {
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
