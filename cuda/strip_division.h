#pragma once

// How the blocks of the kernels of strip.cuh divide the images.

#include "params.h"
#include "policy.h"

#include "backend.h"

#include <algorithm>
#include <cstdint>

namespace fused_ssim::detail::cuda {

/// The width of as few strips of at most `widest` columns as do, of about the same width: a
/// narrower strip has its pivots nearer to its pixels. It is a multiple of 8 pixels, a sector
/// of memory.
inline std::int64_t even_strip_width(
    std::int64_t columns,
    std::int64_t widest) {
  constexpr std::int64_t kSector = 8;
  const auto divided = [](std::int64_t number, std::int64_t by) {
    return (number + by - 1) / by;
  };
  const auto even = divided(columns, divided(columns, widest));
  return std::min(divided(even, kSector) * kSector, widest);
}

inline std::int64_t strip_count(std::int64_t columns, std::int64_t widest) {
  const auto width = even_strip_width(columns, widest);
  return (columns + width - 1) / width;
}

template <typename T>
void divide_columns(SSIMParams<T>& params, int widest) {
  const int columns = params.own_region.columns();
  params.strip_width = static_cast<int>(even_strip_width(columns, widest));
  params.strips = static_cast<int>(strip_count(columns, widest));
}

/// Rows of a segment beside other calls: more for more pixels. MS-SSIM at 1080x1920 took
/// 277 us without this rule, 248 with 24 rows, and 242 with 40; at 545x980 132, 104 and, with
/// 33 rows, 115 (H100).
constexpr std::int64_t kFewRows = 16, kManyRows = 48;

/// Blocks for the whole problem.
template <typename P>
std::int64_t block_count(
    const Problem& problem,
    int radius, // of the window, or of a wider one
    std::int64_t multiprocessors) {
  const Region& own = problem.own_region;
  const std::int64_t rows = problem.batch * problem.channels *
      strip_count(own.columns(), P::strip_width(radius)) * own.rows();
  const auto blocks_of = [&](int least) { return (rows + least - 1) / least; };
  // One block for each multiprocessor before a segment gets too long.
  std::int64_t wanted = std::max(
      blocks_of(P::min_rows(radius)),
      std::min(blocks_of(P::kRows / 2), multiprocessors));
  // Beside other calls there is no need to spread the work.
  const std::int64_t at_once = multiprocessors * P::kBlocks;
  const std::int64_t rows_of_each =
      problem.pixels_beside / (P::strip_width(radius) * at_once);
  if (rows_of_each > kFewRows) {
    const auto least = std::min(kFewRows + rows_of_each / 4, kManyRows);
    wanted = std::min(wanted, (rows + least - 1) / least);
  }
  return std::min({wanted, at_once, std::int64_t(kMaxBlocks)});
}

/// Blocks for each image and channel, where they keep to one.
template <typename P>
int blocks_of_plane(const Problem& problem, std::int64_t multiprocessors) {
  const std::int64_t blocks =
      block_count<P>(problem, problem.window.radius, multiprocessors);
  return static_cast<int>(
      std::max<std::int64_t>(blocks / (problem.batch * problem.channels), 1));
}

/// Lets blocks take the channels of a strip side by side if that leaves few of `blocks`
/// without work. Returns how many blocks there are then.
template <typename T>
unsigned put_channels_beside(SSIMParams<T>& params, std::int64_t blocks) {
  const std::int64_t channels = params.channels;
  const std::int64_t whole = blocks / channels * channels;
  const bool possible = whole > 0 && 16 * (blocks - whole) <= blocks;
  params.beside = possible ? params.channels : 1;
  return static_cast<unsigned>(possible ? whole : blocks);
}

} // namespace fused_ssim::detail::cuda
