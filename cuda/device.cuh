#pragma once

// What the kernels take from the device beyond plain C++, each thing behind a small
// wrapper, so that the same sources run on the host (tests/cuda_emulation).

#if defined(FUSED_SSIM_CUDA_EMULATION)
#include "emulation.h"
#else
#include <cuda_runtime.h>
#endif

#include <cstdint>
#include <cstring>

namespace fused_ssim::detail::cuda {

constexpr int kWarpSize = 32;
constexpr unsigned kFullWarp = 0xffffffffu;

// The emulation brings its own of these three. Barriers have numbers so that it can
// take one away, and a test see that it is missed.
#if !defined(FUSED_SSIM_CUDA_EMULATION)
/// The block's shared memory; its size is set at the launch.
__device__ __forceinline__ char* shared_memory() {
  extern __shared__ __align__(16) char memory[];
  return memory;
}

/// Waits for all threads of the block.
template <int kNumber>
__device__ __forceinline__ void block_barrier() {
  __syncthreads();
}

/// Waits for all threads of the warp.
template <int kNumber>
__device__ __forceinline__ void warp_barrier() {
  __syncwarp(kFullWarp);
}
#endif

template <typename To, typename From>
__device__ __forceinline__ To bit_cast(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof(to));
  return to;
}

/// `value`, but the compiler forgets where it came from: it keeps what is computed
/// here in a register instead of computing each use from its origin.
__device__ __forceinline__ unsigned opaque(unsigned value) {
#if defined(__CUDA_ARCH__)
  asm("" : "+r"(value));
#endif
  return value;
}

template <typename Data>
__device__ __forceinline__ Data* opaque(Data* pointer) {
#if defined(__CUDA_ARCH__)
  asm("" : "+l"(pointer));
#endif
  return pointer;
}

/// Lets the next launch begin, if that was made early (launch()). What this kernel writes is
/// seen by the next one after wait_for_last_launch(). Both do nothing before sm_90.
__device__ __forceinline__ void let_next_launch_begin() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

__device__ __forceinline__ void wait_for_last_launch() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// Reads through the read-only path: nothing writes this memory meanwhile.
template <typename U>
__device__ __forceinline__ U load_read_only(const void* pointer) {
#if defined(__CUDA_ARCH__)
  return __ldg(static_cast<const U*>(pointer));
#else
  return *static_cast<const U*>(pointer);
#endif
}

/// The arithmetic of ssim_math.h on the device.
template <typename T>
struct DeviceMath;

template <>
struct DeviceMath<float> {
  static __device__ __forceinline__ float fma(float a, float b, float c) {
    return fmaf(a, b, c);
  }
  static __device__ __forceinline__ float neg(float a) {
    return -a;
  }
  static __device__ __forceinline__ float fnma(float a, float b, float c) {
    return fmaf(-a, b, c);
  }
  /// One instruction, within 1 ulp; the correctly rounded one takes eight.
  static __device__ __forceinline__ float min(float a, float b) {
    return fminf(a, b); // b, if a is NaN
  }
  static __device__ __forceinline__ float reciprocal(float a) {
#if defined(__CUDA_ARCH__)
    float result;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(a));
    return result;
#else
    return 1.0f / a;
#endif
  }
};

template <>
struct DeviceMath<double> {
  static __device__ __forceinline__ double fma(double a, double b, double c) {
    return ::fma(a, b, c);
  }
  static __device__ __forceinline__ double neg(double a) {
    return -a;
  }
  static __device__ __forceinline__ double fnma(double a, double b, double c) {
    return ::fma(-a, b, c);
  }
  static __device__ __forceinline__ double min(double a, double b) {
    return ::fmin(a, b); // b, if a is NaN
  }
  static __device__ __forceinline__ double reciprocal(double a) {
    return 1.0 / a;
  }
};

} // namespace fused_ssim::detail::cuda
