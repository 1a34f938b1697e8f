#pragma once

#include "../backend.h"
#include "lane_layout.h"

namespace fused_ssim::detail::cpu {
namespace {

/// Chunks that hold the rows above the newest block that a blur reads.
constexpr int history_chunks(int radius) {
  return (2 * radius + kChunkRows - 1) / kChunkRows;
}

/// Rows of the oldest chunk that no blur reads.
constexpr int unread_rows(int radius) {
  return history_chunks(radius) * kChunkRows - 2 * radius;
}

/// The last rows of a tile, in chunks. Row 0 is the oldest of the
/// 2 radius + kBlockRows rows that the vertical blur of the newest block reads.
template <typename T, int kQuantities>
class Ring {
 public:
  using ChunkType = Chunk<T, kQuantities>;

  void allocate(Arena& arena, const LaneLayout<T>& lanes, int radius) {
    count_ = kBlockChunks + history_chunks(radius);
    unread_ = unread_rows(radius);
    for (int c = 0; c < count_; ++c) {
      chunks_[c].allocate(arena, lanes);
    }
  }

  /// The oldest chunk becomes the newest.
  const ChunkType& advance() {
    const ChunkType oldest = chunks_[0];
    for (int c = 1; c < count_; ++c) {
      chunks_[c - 1] = chunks_[c];
    }
    chunks_[count_ - 1] = oldest;
    for (int u = 0; u + unread_ < count_ * kChunkRows; ++u) {
      const int row = u + unread_;
      rows_[u] = chunks_[row / kChunkRows].at(0, row % kChunkRows);
    }
    return newest();
  }

  const ChunkType& newest() const {
    return chunks_[count_ - 1];
  }
  const ChunkType& chunk(int c) const { // 0 is the oldest
    return chunks_[c];
  }

  /// The vector of row u at a position, quantity 0.
  FUSED_SSIM_INLINE T* at(std::int64_t position, int u) const {
    return rows_[u] + position * ChunkType::kPosition;
  }

 private:
  static constexpr int kMaxChunks = kBlockChunks + history_chunks(kMaxRadius);

  ChunkType chunks_[kMaxChunks]; // oldest first
  T* rows_[kMaxChunks * kChunkRows] = {}; // of row u, at position 0
  int count_ = 0, unread_ = 0;
};

} // namespace
} // namespace fused_ssim::detail::cpu
