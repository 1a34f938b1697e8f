#pragma once

#include "blur.h"

#include <cstdint>

namespace fused_ssim::detail::cpu {
namespace {

// NOTE [ Lane-strided rows ]
//
// In a row as it lies in memory the 2 radius + 1 inputs of a horizontal blur
// are vectors at odd addresses, most of them across two cache lines. So a row
// of up to V L columns is cut into V segments of L columns, V the lanes of a
// vector, and lane j of the vector at *position* i holds column j L + i. With V
// = 4, L = 5:
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
// A step to the next column is a step to the next position in all lanes, and
// each input of a blur is one aligned load. The halo repeats the neighbour
// segment, shifted by a lane; x is what lies outside. Rows are transposed into
// this layout when they are read and back when they are written, and nowhere
// else.
//
// kChunkRows rows lie side by side, as do the quantities that are blurred
// together: [position][row][quantity][lane]. Hence the inputs of vertical and
// of horizontal blurs are at constant distances from a few base addresses.

/// Rows that a vertical blur yields at a time. With 12 or 16 it runs out of
/// registers.
constexpr int kBlockRows = 8;
/// Rows that are interleaved in memory.
constexpr int kChunkRows = 4;
constexpr int kBlockChunks = kBlockRows / kChunkRows;

/// Hands out aligned pieces of scratch; with a null base it only counts.
class Arena {
 public:
  explicit Arena(void* base) : base_(static_cast<char*>(base)) {}

  template <typename T>
  T* take(std::int64_t count) {
    const std::size_t offset = used_;
    used_ += round_up(count * static_cast<std::int64_t>(sizeof(T)), 64);
    return base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + offset);
  }
  std::size_t used() const {
    return used_;
  }

 private:
  char* base_;
  std::size_t used_ = 0;
};

/// The columns of a tile as positions and lanes.
template <typename T>
struct LaneLayout {
  LaneLayout(std::int64_t columns, int radius) : halo(radius) {
    // A halo reaches no further than the neighbour segment.
    positions = (columns + kLanes<T> - 1) / kLanes<T>;
    positions = positions < radius ? radius : positions;
    padded = round_up(positions, kLanes<T>);
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

/// The last rows of a tile, in chunks. Row u = 0 is the oldest of the
/// 2 radius + kBlockRows rows that the vertical blur of the newest block reads.
template <typename T, int kQuantities, int kRadius>
class Ring {
 public:
  static constexpr int history_chunks(int radius) {
    return (2 * radius + kChunkRows - 1) / kChunkRows;
  }
  static constexpr int kMaxChunks = kBlockChunks +
      history_chunks(kRadius == kAnyRadius ? kMaxRadius : kRadius);
  using ChunkType = Chunk<T, kQuantities>;

  void allocate(Arena& arena, const LaneLayout<T>& lanes, int radius) {
    radius_ = radius;
    for (int c = 0; c < count(); ++c) {
      chunk_[c].allocate(arena, lanes);
    }
  }

  /// The oldest chunk becomes the newest.
  ChunkType& advance() {
    const ChunkType oldest = chunk_[0];
    for (int c = 1; c < count(); ++c) {
      chunk_[c - 1] = chunk_[c];
    }
    chunk_[count() - 1] = oldest;
    if constexpr (kRadius == kAnyRadius) {
      for (int u = 0; u < 2 * radius_ + kBlockRows; ++u) {
        row_[u] = at(0, u);
      }
    }
    return chunk_[count() - 1];
  }

  const ChunkType& newest() const {
    return chunk_[count() - 1];
  }

  /// The vector of row u at a position, quantity 0.
  FUSED_SSIM_INLINE T* at(std::int64_t position, int u) const {
    const int row = u + skip();
    return chunk_[row / kChunkRows].at(position, row % kChunkRows);
  }

  /// Blurs vertically: kBlockRows outputs of one quantity at one position.
  FUSED_SSIM_INLINE void blur(
      std::int64_t position,
      int quantity,
      const Taps<T, kRadius>& taps,
      Vec<T>* out /* [kBlockRows] */) const {
    if constexpr (kRadius == kAnyRadius) {
      // The rows' addresses are not worth working out for each tap.
      const std::int64_t offset =
          position * ChunkType::kPosition + quantity * kLanes<T>;
      cpu::blur<kBlockRows>(
          [&](int u) FUSED_SSIM_INLINE_LAMBDA { return row_[u] + offset; },
          taps,
          out);
    } else {
      const T* base[kMaxChunks];
      FUSED_SSIM_UNROLL
      for (int c = 0; c < kMaxChunks; ++c) {
        base[c] = chunk_[c].origin + position * ChunkType::kPosition;
      }
      cpu::blur<kBlockRows>(
          [&](int u) FUSED_SSIM_INLINE_LAMBDA {
            const int row = u + skip();
            return base[row / kChunkRows] + row % kChunkRows * ChunkType::kRow +
                quantity * kLanes<T>;
          },
          taps,
          out);
    }
  }

 private:
  constexpr int radius() const {
    return kRadius == kAnyRadius ? radius_ : kRadius;
  }
  constexpr int count() const {
    return kBlockChunks + history_chunks(radius());
  }
  /// Rows of the oldest chunk that no blur needs.
  constexpr int skip() const {
    return history_chunks(radius()) * kChunkRows - 2 * radius();
  }

  ChunkType chunk_[kMaxChunks]; // oldest first
  /// Row u at position 0, where the radius is known at run time only.
  const T* row_[kRadius == kAnyRadius ? kMaxChunks * kChunkRows : 1] = {};
  int radius_ = 0;
};

/// Transposes V vectors of V lanes: log2(V) times, the first half of the
/// vectors is interleaved with the second.
template <typename T>
FUSED_SSIM_INLINE void transpose(Vec<T>* a /* [V] */) {
  constexpr int V = kLanes<T>;
  FUSED_SSIM_UNROLL
  for (int stage = 1; stage < V; stage *= 2) {
    Vec<T> b[V];
    FUSED_SSIM_UNROLL
    for (int i = 0; i < V / 2; ++i) {
      const auto pair = interleave<T>(a[i], a[i + V / 2]);
      b[2 * i] = pair.first;
      b[2 * i + 1] = pair.second;
    }
    FUSED_SSIM_UNROLL
    for (int i = 0; i < V; ++i) {
      a[i] = b[i];
    }
  }
}

#if defined(CPU_CAPABILITY_AVX2)
/// at::vec interleaves by shuffles across both halves of a register: 48 for 8 x 8,
/// where 24 do.
template <>
FUSED_SSIM_INLINE void transpose<float>(Vec<float>* a /* [8] */) {
  __m256 pairs[8], quads[8];
  FUSED_SSIM_UNROLL
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
    pairs[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
  }
  // Columns 0 to 3 of four rows in the lower half, 4 to 7 in the upper one.
  FUSED_SSIM_UNROLL
  for (int i = 0; i < 8; i += 4) {
    FUSED_SSIM_UNROLL
    for (int k = 0; k < 2; ++k) {
      const __m256 first = pairs[i + k], second = pairs[i + k + 2];
      quads[i + 2 * k] = _mm256_shuffle_ps(first, second, 0x44);
      quads[i + 2 * k + 1] = _mm256_shuffle_ps(first, second, 0xee);
    }
  }
  FUSED_SSIM_UNROLL
  for (int i = 0; i < 4; ++i) {
    a[i] = _mm256_permute2f128_ps(quads[i], quads[i + 4], 0x20);
    a[i + 4] = _mm256_permute2f128_ps(quads[i], quads[i + 4], 0x31);
  }
}
#endif

/// Fills the halo of a chunk, row after row: `adjust(side, values)` is handed the
/// neighbour segments' values of all quantities, 0 outside of the segments, and turns
/// them into this segment's.
enum class Side { kLeft, kRight };
template <typename T, int kQuantities, typename Adjust>
FUSED_SSIM_INLINE void fill_halo(
    const Chunk<T, kQuantities>& chunk,
    const LaneLayout<T>& lanes,
    const Adjust& adjust) {
  constexpr int V = kLanes<T>;
  T lane[V];
  for (T& each : lane) {
    each = mask_bits<T>(true);
  }
  lane[0] = mask_bits<T>(false);
  const Vec<T> all_but_first = load(lane);
  lane[0] = mask_bits<T>(true);
  lane[V - 1] = mask_bits<T>(false);
  const Vec<T> all_but_last = load(lane);
  // Loads are a lane off, which shifts the lanes; both neighbours exist: they
  // are other vectors of the same chunk.
  const std::int64_t L = lanes.positions;
  for (int k = 1; k <= lanes.halo; ++k) {
    for (int row = 0; row < kChunkRows; ++row) {
      Vec<T> left[kQuantities], right[kQuantities];
      FUSED_SSIM_UNROLL
      for (int q = 0; q < kQuantities; ++q) {
        left[q] = load(chunk.at(L - k, row, q) - 1) & all_but_first;
        right[q] = load(chunk.at(k - 1, row, q) + 1) & all_but_last;
      }
      adjust(Side::kLeft, left);
      adjust(Side::kRight, right);
      FUSED_SSIM_UNROLL
      for (int q = 0; q < kQuantities; ++q) {
        left[q].store(chunk.at(-k, row, q));
        right[q].store(chunk.at(L - 1 + k, row, q));
      }
    }
  }
}

/// Calls f(position) for each position of the halo.
template <typename T, typename F>
FUSED_SSIM_INLINE void for_halo(const LaneLayout<T>& lanes, const F& f) {
  for (int k = 1; k <= lanes.halo; ++k) {
    f(-k);
    f(lanes.positions - 1 + k);
  }
}

/// Blurs rows `row_begin` .. kChunkRows of quantity `from` of one chunk
/// horizontally into quantity `to` of another.
template <typename T, int kRadius, int kFrom, int kTo>
FUSED_SSIM_INLINE void blur_rows(
    const Chunk<T, kFrom>& from_chunk,
    const Chunk<T, kTo>& to_chunk,
    int to_offset, // quantity 0 of from_chunk goes there
    int row_begin,
    const LaneLayout<T>& lanes,
    const Taps<T, kRadius>& taps) {
  constexpr int kOutputs = 8;
  const auto outputs = [&](std::int64_t position,
                           auto count) FUSED_SSIM_INLINE_LAMBDA {
    constexpr int kCount = decltype(count)::value;
    for (int row = row_begin; row < kChunkRows; ++row) {
      FUSED_SSIM_UNROLL
      for (int q = 0; q < kFrom; ++q) {
        Vec<T> out[kCount];
        const T* in = from_chunk.at(position - taps.radius(), row, q);
        blur<kCount>(
            [&](int u) FUSED_SSIM_INLINE_LAMBDA {
              return in + u * Chunk<T, kFrom>::kPosition;
            },
            taps,
            out);
        T* to = to_chunk.at(position, row, to_offset + q);
        FUSED_SSIM_UNROLL
        for (int k = 0; k < kCount; ++k) {
          out[k].store(to + k * Chunk<T, kTo>::kPosition);
        }
      }
    }
  };
  std::int64_t position = 0;
  for (; position + kOutputs <= lanes.positions; position += kOutputs) {
    outputs(position, std::integral_constant<int, kOutputs>());
  }
  for (; position < lanes.positions; ++position) {
    outputs(position, std::integral_constant<int, 1>());
  }
}

} // namespace
} // namespace fused_ssim::detail::cpu
