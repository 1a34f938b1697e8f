#pragma once

// The border between the code that is compiled once (run.cpp) and the
// kernels, which are compiled once for each instruction set: plain structs, raw
// pointers and a table of functions.
//
// NOTE [ One source, several instruction sets ]
//
// Each kernel_*.cpp is compiled with the flags of each instruction set. An
// inline function with external linkage that two of these objects have in
// common is kept once by the linker, from any of them: a processor without
// AVX-512 may so meet AVX-512 code in a function that everybody uses. Hence
// whatever the kernels consist of stands in an anonymous namespace, at::vec in
// its own namespace of each instruction set, the standard library stays outside
// as far as possible, and only the kernel tables below have external linkage,
// with a name of their own in each object.

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
