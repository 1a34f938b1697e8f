#pragma once

// The blur, horizontal and vertical, forward and adjoint: there is only this
// one.

#include "../backend.h"
#include "vec.h"

namespace fused_ssim::detail::cpu {
namespace {

/// kRadius of code that takes the radius at run time.
constexpr int kAnyRadius = 0;

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
  const int radius = taps.radius();
  if constexpr (kRadius == kAnyRadius) {
    FUSED_SSIM_UNROLL
    for (int k = 0; k < kOutputs; ++k) {
      out[k] = load(in(k + radius)) * taps.tap[0];
    }
    FUSED_SSIM_NO_UNROLL
    for (int distance = 1; distance <= radius; ++distance) {
      FUSED_SSIM_UNROLL
      for (int k = 0; k < kOutputs; ++k) {
        out[k] = VecMath<T>::fma(
            load(in(k + radius - distance)) + load(in(k + radius + distance)),
            taps.tap[distance],
            out[k]);
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
