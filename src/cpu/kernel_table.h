#pragma once

// Picks the code for a job; the tail of kernel_float.cpp and kernel_double.cpp.

#include "l1_tile.h"
#include "ssim_tile.h"
#include "weight_sum.h"

// CMake defines FUSED_SSIM_CPU_SET = Default, AVX2 or AVX512.
#define FUSED_SSIM_CPU_JOIN_(a, b, c) a##b##c
#define FUSED_SSIM_CPU_JOIN(a, b, c) FUSED_SSIM_CPU_JOIN_(a, b, c)
#define FUSED_SSIM_CPU_TABLE(type) \
  FUSED_SSIM_CPU_JOIN(kKernels, FUSED_SSIM_CPU_SET, type)

namespace fused_ssim::detail::cpu {
namespace {

/// Calls f(SSIMTile<...>*) with the type of the code that a job needs.
template <typename T, typename F>
auto with_ssim_tile(const Job& job, const F& f) {
  if (job.outputs.grad_target.data != nullptr) {
    return f(static_cast<SSIMTile<T, 4>*>(nullptr));
  }
  if (job.outputs.grad_input.data != nullptr) {
    return f(static_cast<SSIMTile<T, 3>*>(nullptr));
  }
  return f(static_cast<SSIMTile<T, 0>*>(nullptr));
}

template <typename T>
std::size_t scratch_bytes(const Job& job, const Plan& plan) {
  if (!job.ssim) {
    return 0;
  }
  return with_ssim_tile<T>(job, [&](auto* type) {
    return std::remove_pointer_t<decltype(type)>::scratch_bytes(job, plan);
  });
}

template <typename T>
TermSums run_tile(const Job& job, const Tile& tile, void* scratch) {
  if (!job.ssim) {
    return l1_tile<T>(job, tile);
  }
  return with_ssim_tile<T>(job, [&](auto* type) {
    return std::remove_pointer_t<decltype(type)>(job, tile).run(scratch);
  });
}

} // namespace
} // namespace fused_ssim::detail::cpu
