#pragma once

// SIMD vectors (LibTorch's at::vec) and the few words that the kernels add.
// See NOTE [ One source, several instruction sets ] in kernels.h.

#include "../ssim_math.h"

#include <ATen/cpu/vec/vec.h>

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__clang__)
#define FUSED_SSIM_UNROLL _Pragma("unroll")
#define FUSED_SSIM_NO_UNROLL _Pragma("nounroll")
#elif defined(__GNUC__)
#define FUSED_SSIM_UNROLL _Pragma("GCC unroll 64")
#define FUSED_SSIM_NO_UNROLL _Pragma("GCC unroll 1")
#else
#define FUSED_SSIM_UNROLL
#define FUSED_SSIM_NO_UNROLL
#endif

#if defined(__GNUC__)
#define FUSED_SSIM_NO_INLINE __attribute__((noinline))
#define FUSED_SSIM_INLINE inline __attribute__((always_inline))
#define FUSED_SSIM_INLINE_LAMBDA __attribute__((always_inline))
#else
#define FUSED_SSIM_NO_INLINE
#define FUSED_SSIM_INLINE inline
#define FUSED_SSIM_INLINE_LAMBDA
#endif

namespace fused_ssim::detail::cpu {
namespace {

template <typename T>
using Vec = at::vec::Vectorized<T>;

/// V in the comments on layouts.
template <typename T>
constexpr int kLanes = Vec<T>::size();

constexpr std::int64_t round_up(std::int64_t n, std::int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// LibTorch 2.1 has no fnmadd; then it takes a negation more.
template <typename V>
FUSED_SSIM_INLINE auto negated_fmadd(V a, V b, V c, int)
    -> decltype(fnmadd(a, b, c)) {
  return fnmadd(a, b, c);
}
template <typename V>
FUSED_SSIM_INLINE V negated_fmadd(V a, V b, V c, long) {
  return at::vec::fmadd(a.neg(), b, c);
}

template <typename T>
struct VecMath {
  static FUSED_SSIM_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
    return at::vec::fmadd(a, b, c);
  }
  static FUSED_SSIM_INLINE Vec<T> fnma(Vec<T> a, Vec<T> b, Vec<T> c) {
    return negated_fmadd(a, b, c, 0);
  }
  static FUSED_SSIM_INLINE Vec<T> neg(Vec<T> a) {
    return a.neg();
  }
  static FUSED_SSIM_INLINE Vec<T> reciprocal(Vec<T> a) {
    return Vec<T>(T(1)) / a;
  }
  static FUSED_SSIM_INLINE Vec<T> min(Vec<T> a, Vec<T> b) {
    return at::vec::clamp_max(a, b);
  }
};

/// {a0, b0, a1, b1, ...}: the lower half of it, and the upper half.
template <typename T>
FUSED_SSIM_INLINE std::pair<Vec<T>, Vec<T>> interleave(Vec<T> a, Vec<T> b) {
#if defined(__aarch64__)
  // at::vec's own goes through memory here, lane by lane. Older LibTorch has other
  // vectors.
  if constexpr (std::is_convertible_v<Vec<T>, float32x4_t>) {
    return {vzip1q_f32(a, b), vzip2q_f32(a, b)};
  } else if constexpr (std::is_convertible_v<Vec<T>, float64x2_t>) {
    return {vzip1q_f64(a, b), vzip2q_f64(a, b)};
  }
#endif
  return at::vec::interleave2(a, b);
}

template <typename T>
FUSED_SSIM_INLINE Vec<T> load(const T* p) {
  return Vec<T>::loadu(p);
}

/// The first `count` elements, the rest 0, if there are fewer than V.
template <typename T>
FUSED_SSIM_INLINE Vec<T> load_up_to(const T* p, std::int64_t count) {
  return count >= kLanes<T> ? Vec<T>::loadu(p) : Vec<T>::loadu(p, count);
}

/// amplitude * sign(d - origin), with sign(0) = sign(NaN) = 0.
template <typename T>
FUSED_SSIM_INLINE Vec<T> signed_as(Vec<T> d, Vec<T> origin, Vec<T> amplitude) {
  return ((d > origin) & amplitude) - ((d < origin) & amplitude);
}

/// The lanes in which a vector is not 0: in the others, of() is 0, even of a NaN.
template <typename T>
class NonZero {
 public:
  FUSED_SSIM_INLINE explicit NonZero(Vec<T> v) : lanes_(v != Vec<T>(T(0))) {}
  FUSED_SSIM_INLINE Vec<T> of(Vec<T> v) const {
    return v & lanes_;
  }

 private:
  Vec<T> lanes_;
};

#if defined(CPU_CAPABILITY_AVX512)
// The processor's own masks are part of the instruction before.
template <>
class NonZero<float> {
 public:
  FUSED_SSIM_INLINE explicit NonZero(Vec<float> v)
      : lanes_(_mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NEQ_UQ)) {}
  FUSED_SSIM_INLINE Vec<float> of(Vec<float> v) const {
    return _mm512_maskz_mov_ps(lanes_, v);
  }

 private:
  __mmask16 lanes_;
};

template <>
class NonZero<double> {
 public:
  FUSED_SSIM_INLINE explicit NonZero(Vec<double> v)
      : lanes_(_mm512_cmp_pd_mask(v, _mm512_setzero_pd(), _CMP_NEQ_UQ)) {}
  FUSED_SSIM_INLINE Vec<double> of(Vec<double> v) const {
    return _mm512_maskz_mov_pd(lanes_, v);
  }

 private:
  __mmask8 lanes_;
};
#endif

/// The product with a weight. A weight of 0 leaves out its pixel, even a NaN.
template <typename T>
FUSED_SSIM_INLINE Vec<T> weighed(Vec<T> v, Vec<T> weight) {
  return NonZero<T>(weight).of(v * weight);
}

template <typename T>
FUSED_SSIM_INLINE SmoothL1<Vec<T>> in_vectors(const SmoothL1<double>& scalars) {
  return {
      Vec<T>(static_cast<T>(scalars.beta)),
      Vec<T>(static_cast<T>(scalars.inverse_beta))};
}

/// A lane of a mask: all bits set, or none; for operator& of Vec.
template <typename T>
T mask_bits(bool on) {
  T bits;
  std::memset(&bits, on ? 0xff : 0, sizeof(T));
  return bits;
}

} // namespace
} // namespace fused_ssim::detail::cpu
