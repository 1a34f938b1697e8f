#pragma once

// Rows of the pyramid of MS-SSIM: the border between pyramid.cpp and the code that is
// compiled for each instruction set (NOTE [ One source, several instruction sets ] in
// kernels.h).

#include "../pyramid.h"

#include <cstddef>
#include <cstdint>

namespace fused_ssim::detail::cpu {

/// Both rows of a scale that belong to one row of the next.
struct RowPair {
  std::int64_t image, channel;
  std::int64_t row; // of the next scale
};

struct PyramidRows {
  /// Bytes that the others need; what they are for is not initialised.
  std::size_t (*scratch_bytes)(std::int64_t width);
  /// A row of the next scale, of image 0 or 1 of `from`.
  void (*halve)(
      const Halving& halving,
      int which,
      const RowPair& rows,
      void* scratch);
  /// Two rows of the gradient, or the one that there is.
  void (*descend)(const Descent& descent, const RowPair& rows, void* scratch);
};

/// One table for each instruction set and compute type.
extern const PyramidRows kPyramidDefaultFloat, kPyramidDefaultDouble;
extern const PyramidRows kPyramidAVX2Float, kPyramidAVX2Double;
extern const PyramidRows kPyramidAVX512Float, kPyramidAVX512Double;

} // namespace fused_ssim::detail::cpu
