#pragma once

// Between rows in memory order and lane-strided rows.

#include "lane_layout.h"

namespace fused_ssim::detail::cpu {
namespace {

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

/// Transposes a row: store(i, v) for each position i < lanes.padded.
template <typename T, typename Store>
FUSED_SSIM_INLINE void to_lanes(
    const T* row, // [lanes.row_size()]
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
    T* row) { // [lanes.row_size()]
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

/// Row t of a block.
template <typename T>
FUSED_SSIM_NO_INLINE void from_block(
    const Block<T>& block,
    int t,
    const LaneLayout<T>& lanes,
    T* row) { // [lanes.row_size()]
  from_lanes<T>(
      [&](std::int64_t i) FUSED_SSIM_INLINE_LAMBDA { return block.at(i, t); },
      lanes,
      row);
}

} // namespace
} // namespace fused_ssim::detail::cpu
