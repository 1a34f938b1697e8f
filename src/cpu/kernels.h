#pragma once

// The border between the code that is compiled once (run.cpp) and the
// kernels, which are compiled once for each instruction set: plain structs, raw
// pointers and a table of functions.
//
// NOTE [ One source, several instruction sets ]
//
// Each kernel_*.cpp is compiled once for each instruction set, with its flags. If two
// of these objects contain the same inline function with external linkage, the linker
// keeps one of the copies, from any of them. A processor without AVX-512 might then run
// AVX-512 code. To prevent this,
//   - all code of the kernels is in an anonymous namespace,
//   - at::vec has a namespace of its own for each instruction set,
//   - the kernels use the standard library as little as possible,
//   - only the kernel tables below have external linkage, with a different name in each
//     object.

#include "../passes.h"
#include "plan.h"

#include <cstddef>
#include <cstdint>

namespace fused_ssim::detail::cpu {

/// A problem with what is known before the first tile.
struct Job {
  Problem problem;
  Outputs outputs; // of these the kernels write the images
  bool ssim = false; // the kernel with SSIM, or the one with L1 alone
  bool l1_sum = false; // the sum of w |d| is wanted
  GradientFactors factors;
  SmoothL1<double> smooth_l1; // rounded to the compute type
};

/// A rectangle of one channel of one image in a View.
struct Rectangle {
  std::int64_t image, channel, row, column, rows, columns;
};

struct Kernels {
  /// Bytes, a multiple of 64, that tile() needs for any tile of the plan.
  std::size_t (*scratch_bytes)(const Job& job, const Plan& plan);
  /// `scratch` is aligned to 64 bytes and need not be initialised.
  TermSums (*tile)(const Job& job, const Tile& tile, void* scratch);
  /// The sum of a weight over a rectangle.
  double (*weight_sum)(const View& weight, const Rectangle& rectangle);
};

/// One table for each instruction set and compute type.
extern const Kernels kKernelsDefaultFloat, kKernelsDefaultDouble;
extern const Kernels kKernelsAVX2Float, kKernelsAVX2Double;
extern const Kernels kKernelsAVX512Float, kKernelsAVX512Double;

} // namespace fused_ssim::detail::cpu
