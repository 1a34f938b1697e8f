#pragma once

// What the banded kernel takes from the device beyond device.cuh: products of small
// matrices, copies to shared memory that run meanwhile, signals between warps. All of
// it exists from sm_80 on. The host emulation brings its own.

#include "device.cuh"

#if defined(FUSED_SSIM_CUDA_EMULATION)
#include "emulated_matrix.h"
#else

#include <cuda_fp16.h>

namespace fused_ssim::detail::cuda {

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define FUSED_SSIM_NO_MATRIX
#endif

/// `value`, which is the same in all lanes, in a register that all lanes share. The
/// compiler does not know it of threadIdx.x / 32: with it the gradient's kernel has no
/// spills instead of 280 bytes.
__device__ __forceinline__ int uniform(int value) {
  return __shfl_sync(kFullWarp, value, 0);
}

/// Two floats as two pairs of float16: value = high + low, with 22 bits.
__device__ __forceinline__ void split(
    float a,
    float b,
    std::uint32_t& high,
    std::uint32_t& low) {
  const __half2 h = __floats2half2_rn(a, b);
  const float2 rounded = __half22float2(h);
  high = bit_cast<std::uint32_t>(h);
  low =
      bit_cast<std::uint32_t>(__floats2half2_rn(a - rounded.x, b - rounded.y));
}

__device__ __forceinline__ float2
joined(std::uint32_t high, std::uint32_t low) {
  const float2 h = __half22float2(bit_cast<__half2>(high));
  const float2 l = __half22float2(bit_cast<__half2>(low));
  return make_float2(h.x + l.x, h.y + l.y);
}

/// c += a b of 16x16 by 16x8 float16, summed in float32. Fragments as in PTX's
/// mma.m16n8k16; `kFirst`: c was 0.
template <bool kFirst>
__device__ __forceinline__ void multiply_add(
    float (&c)[4],
    const std::uint32_t (&a)[4],
    std::uint32_t b0,
    std::uint32_t b1) {
#if !defined(FUSED_SSIM_NO_MATRIX)
  if constexpr (kFirst) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, "
        "{%4,%5,%6,%7}, {%8,%9}, {%10,%10,%10,%10};"
        : "=f"(c[0]), "=f"(c[1]), "=f"(c[2]), "=f"(c[3])
        : "r"(a[0]),
          "r"(a[1]),
          "r"(a[2]),
          "r"(a[3]),
          "r"(b0),
          "r"(b1),
          "f"(0.0f));
  } else {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, "
        "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
#endif
}

__device__ __forceinline__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

/// Begins to copy kBytes to shared memory, or zeros if not `inside`; then `from` is
/// not read.
template <int kBytes>
__device__ __forceinline__ void begin_copy(
    void* to, // [kBytes], aligned to as many
    const void* from, // [kBytes], aligned to as many
    bool inside) {
#if !defined(FUSED_SSIM_NO_MATRIX)
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                     shared_address(to)),
                 "l"(from),
                 "r"(inside ? 16 : 0)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(
                     shared_address(to)),
                 "l"(from),
                 "n"(kBytes),
                 "r"(inside ? kBytes : 0)
                 : "memory");
  }
#endif
}

/// Waits for this thread's copies.
__device__ __forceinline__ void end_copies() {
#if !defined(FUSED_SSIM_NO_MATRIX)
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

/// One warp tells others that something lies in shared memory, again and again: it is
/// raised for the first time, the second time and so on. In shared memory.
class Signal {
 public:
  __device__ __forceinline__ void init() {
#if !defined(FUSED_SSIM_NO_MATRIX)
    asm volatile(
        "mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(this)),
        "r"(kWarpSize));
#endif
  }

  /// By each lane, for what that lane wrote. By one lane behind a warp barrier would be
  /// right as well, but took 1 % longer (H100), and compute-sanitizer's racecheck does not
  /// see that it orders the other lanes' writes.
  __device__ __forceinline__ void raise() {
#if !defined(FUSED_SSIM_NO_MATRIX)
    asm volatile("{ .reg .b64 t; mbarrier.arrive.shared.b64 t, [%0]; }" ::"r"(
                     shared_address(this))
                 : "memory");
#endif
  }

  /// Until it was raised for the `turn`-th time, counted from 0. Between two waits of
  /// a thread it is raised once.
  template <int kNumber>
  __device__ __forceinline__ void wait(unsigned turn) {
#if !defined(FUSED_SSIM_NO_MATRIX)
#if __CUDA_ARCH__ >= 900
    asm volatile(
        "{ .reg .pred p; AGAIN_%=: mbarrier.try_wait.parity.shared.b64 p, "
        "[%0], "
        "%1; @p bra DONE_%=; bra AGAIN_%=; DONE_%=: }" ::"r"(
            shared_address(this)),
        "r"(turn & 1)
        : "memory");
#else
    asm volatile(
        "{ .reg .pred p; AGAIN_%=: mbarrier.test_wait.parity.shared.b64 p, "
        "[%0], "
        "%1; @p bra DONE_%=; bra AGAIN_%=; DONE_%=: }" ::"r"(
            shared_address(this)),
        "r"(turn & 1)
        : "memory");
#endif
#endif
  }

 private:
  std::uint64_t barrier_;
};

} // namespace fused_ssim::detail::cuda

#endif
