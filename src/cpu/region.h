#pragma once

// The part of the image that a term is taken over.

#include "../backend.h"

#include <cstdint>

namespace fused_ssim::detail::cpu {

struct Region {
  std::int64_t row_begin, row_end, column_begin, column_end;

  bool has_row(std::int64_t row) const {
    return row >= row_begin && row < row_end;
  }
  bool has_column(std::int64_t column) const {
    return column >= column_begin && column < column_end;
  }
};

namespace {

inline Region region_within(const Problem& problem, std::int64_t margin) {
  return {margin, problem.height - margin, margin, problem.width - margin};
}

/// Where the SSIM map has pixels, in image coordinates.
inline Region map_region(const Problem& problem) {
  return region_within(problem, problem.valid ? problem.window.radius : 0);
}

/// What L1 is taken over.
inline Region l1_region(const Problem& problem) {
  return region_within(
      problem, problem.valid && problem.crop_l1 ? problem.window.radius : 0);
}

} // namespace
} // namespace fused_ssim::detail::cpu
