#pragma once

// The part of CUDA C++ that our kernels use, for a host compiler. It replaces
// <cuda_runtime.h>. It has no __shared__ on purpose: all shared memory comes
// from shared_memory().

#include "scheduler.h"

#include <math.h> // ::fmaf and, as on the device, ::fabs for all types

#include <algorithm>
#include <cstring>
#include <type_traits>

#define __device__
#define __global__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) __attribute__((aligned(bytes)))

using std::max;
using std::min;

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

struct uint3 {
  unsigned x = 0, y = 0, z = 0;
};

inline thread_local uint3 threadIdx, blockIdx;
inline thread_local dim3 blockDim, gridDim;

struct alignas(8) float2 {
  float x, y;
};

struct alignas(16) float4 {
  float x, y, z, w;
};

struct alignas(16) double2 {
  double x, y;
};

inline float2 make_float2(float x, float y) {
  return {x, y};
}

inline float4 make_float4(float x, float y, float z, float w) {
  return {x, y, z, w};
}

inline double2 make_double2(double x, double y) {
  return {x, y};
}

inline void __syncthreads() {
  fused_ssim::detail::cuda::emulation::block_barrier();
}

inline void __syncwarp(unsigned mask = 0xffffffff) {
  fused_ssim::detail::cuda::emulation::warp_barrier(mask);
}

namespace fused_ssim::detail::cuda::emulation {

inline unsigned lane() {
  return threadIdx.x % kWarpSize;
}

template <typename T>
T shuffle_from(unsigned mask, T value, unsigned source) {
  static_assert(std::is_trivially_copyable<T>::value && sizeof(T) <= 8);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = shuffle(mask, bits, source);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

} // namespace fused_ssim::detail::cuda::emulation

// A shuffle works within groups of `width` lanes. A lane whose source lies
// beyond its group gets its own value.

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  namespace emulation = fused_ssim::detail::cuda::emulation;
  const unsigned group = emulation::lane() & ~unsigned(width - 1);
  return emulation::shuffle_from(
      mask, value, group + (unsigned(source) & unsigned(width - 1)));
}

template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  namespace emulation = fused_ssim::detail::cuda::emulation;
  const unsigned lane = emulation::lane();
  const bool inside = (lane & unsigned(width - 1)) + delta < unsigned(width);
  return emulation::shuffle_from(mask, value, inside ? lane + delta : lane);
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32) {
  namespace emulation = fused_ssim::detail::cuda::emulation;
  const unsigned lane = emulation::lane();
  const unsigned source = lane ^ unsigned(lane_mask);
  const bool inside = source < (lane & ~unsigned(width - 1)) + unsigned(width);
  return emulation::shuffle_from(mask, value, inside ? source : lane);
}

// The functions that cuda/device.cuh expects from the emulation.

namespace fused_ssim::detail::cuda {

inline char* shared_memory() {
  return emulation::shared_memory();
}

template <int kNumber>
void block_barrier() {
  if (!emulation::is_missing(kNumber)) {
    __syncthreads();
  }
}

template <int kNumber>
void warp_barrier() {
  if (!emulation::is_missing(kNumber)) {
    __syncwarp();
  }
}

} // namespace fused_ssim::detail::cuda
