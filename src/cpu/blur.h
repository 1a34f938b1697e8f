#pragma once

// The blur, horizontal and vertical, forward and adjoint: there is only this
// one.

#include "../backend.h"
#include "vec.h"

namespace fused_ssim::detail::cpu {
namespace {

/// kRadius of code that takes the radius at run time.
constexpr int kAnyRadius = 0;

/// Vectors that the processor has.
#if defined(CPU_CAPABILITY_AVX512) || defined(__aarch64__)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif

template <typename T, int kRadius>
struct Taps {
  static constexpr int kCount =
      1 + (kRadius == kAnyRadius ? kMaxRadius : kRadius);

  Taps(const Window& window, double factor) : radius_(window.radius) {
    for (int k = 0; k < kCount; ++k) {
      tap[k] = Vec<T>(static_cast<T>(window.taps[k] * factor));
    }
  }

  constexpr int radius() const {
    return kRadius == kAnyRadius ? radius_ : kRadius;
  }

  Vec<T> tap[kCount]; // by distance

 private:
  int radius_;
};

/// out[k] = sum over t of tap(t - radius) * in(k + t), for k < kOutputs and
/// t <= 2 radius, where `in(u)` is the address of the u-th vector.
///
/// The inputs at equal distance are added first: half of the multiplications
/// become additions, which many processors carry out beside them, and the loads
/// fold into the additions.
template <int kOutputs, typename T, int kRadius, typename In>
FUSED_SSIM_INLINE void blur(
    const In& in,
    const Taps<T, kRadius>& taps,
    Vec<T>* out /* [kOutputs] */) {
  if constexpr (
      kRadius == kAnyRadius && kOutputs > 1 && 3 * kOutputs + 2 > kRegisters) {
    constexpr int kHalf = kOutputs / 2;
    blur<kHalf>(in, taps, out);
    blur<kOutputs - kHalf>(
        [&](int u) FUSED_SSIM_INLINE_LAMBDA { return in(u + kHalf); },
        taps,
        out + kHalf);
  } else if constexpr (kRadius == kAnyRadius) {
    // Distance after distance. Of the inputs at each, all but one below and one above
    // were those of the last: they stay in registers, where that of output k has place
    // k + distance modulo kOutputs (above) or k - distance (below).
    const int radius = taps.radius();
    Vec<T> below[kOutputs], above[kOutputs];
    FUSED_SSIM_UNROLL
    for (int k = 0; k < kOutputs; ++k) {
      below[k] = above[k] = load(in(k + radius));
      out[k] = below[k] * taps.tap[0];
    }
    for (int before = 0; before < radius; before += kOutputs) {
      FUSED_SSIM_UNROLL
      for (int i = 0; i < kOutputs; ++i) {
        const int distance = before + i + 1;
        if (distance > radius) {
          return;
        }
        below[kOutputs - 1 - i] = load(in(radius - distance));
        above[i] = load(in(kOutputs - 1 + radius + distance));
        FUSED_SSIM_UNROLL
        for (int k = 0; k < kOutputs; ++k) {
          out[k] = VecMath<T>::fma(
              below[(k + kOutputs - 1 - i) % kOutputs] +
                  above[(k + 1 + i) % kOutputs],
              taps.tap[distance],
              out[k]);
        }
      }
    }
  } else {
    FUSED_SSIM_UNROLL
    for (int u = kRadius; u < kOutputs + 2 * kRadius; ++u) {
      const Vec<T> v = load(in(u));
      FUSED_SSIM_UNROLL
      for (int k = 0; k < kOutputs; ++k) {
        const int distance = u - kRadius - k;
        if (distance == 0) {
          out[k] = v * taps.tap[0];
        } else if (distance > 0 && distance <= kRadius) {
          out[k] = VecMath<T>::fma(
              v + load(in(u - 2 * distance)), taps.tap[distance], out[k]);
        }
      }
    }
  }
}

} // namespace
} // namespace fused_ssim::detail::cpu
