#pragma once

// The formula's only home: SSIM of one pixel and its partial derivatives, for the
// host, the device and SIMD vectors alike.
//
// NOTE [ Sum and difference ]
//
// Everybody computes SSIM from x, y, x^2, y^2 and x y, and loses in
// E[x^2] - mu^2 all the digits that the two have in common: on bright, flat or
// nearly equal images that is all there are. We blur, of
//
//     s = x + y - p   and   d = x - y - q,
//
// s, d, s^2 and d^2 instead, where the pivot p is any number near the local values
// of x + y, and q one near those of x - y, or 0 (pivot() and offset() below). With ms' = blur(s), ms = ms' + p,
// md' = blur(d), md = md' + q, Vs = blur(s^2) - ms'^2, Vd = blur(d^2) - md'^2, SSIM
// is (N1 / D1) (N2 / D2) with
//
//     N1 = ms^2 - md^2 + 2 C1    D1 = ms^2 + md^2 + 2 C1
//     N2 = Vs - Vd + 2 C2        D2 = Vs + Vd + 2 C2
//
// and, since D1 = N1 + 2 md^2 and D2 = N2 + 2 Vd,
//
//     1 - SSIM = 2 (md^2 / D1 + (N1 / D1) Vd / D2)
//
// Each term of this and of the derivatives is a product with md or Vd: where the
// images agree they vanish exactly, so that SSIM is exactly 1 and its gradient
// exactly 0, and SSIM <= 1 without a clamp. Outside the image x = y = 0, hence
// s = -p and d = -q there.
//
// The gradient of the sum of 1 - SSIM follows from the partial derivatives in the
// four blurred maps and the adjoint blur G* (a blur too: the window is symmetric;
// the partials are 0 where the map has no pixel):
//
//     d/dx = G*(dms + dmd) + 2 s G*(dEs) + 2 d G*(dEd)
//     d/dy = G*(dms - dmd) + 2 s G*(dEs) - 2 d G*(dEd)
//
// All four share the factor kPartialScale, which they leave to the last step.

#include <cmath>

#if defined(__CUDACC__)
#define FUSED_SSIM_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define FUSED_SSIM_HOST_DEVICE inline
#endif

namespace fused_ssim::detail {

/// The four blurred maps at one pixel.
template <typename T>
struct Blurred {
  T s, d, ss, dd; // blur(s), blur(d) (not yet shifted back), blur(s^2), ...
};

/// p, 2 C1, 2 C2 and q.
template <typename T>
struct SSIMConstants {
  T pivot, two_c1, two_c2;
  T offset = T(0);
};

/// A value of x + y for pivot(): a pixel far outside of the range L, as renders have
/// early in a training, is not to ruin the pivot for all others.
FUSED_SSIM_HOST_DEVICE float pivot_sample(float s, float data_range) {
  const float limit = 2 * data_range;
  return s < -limit ? -limit : s > limit ? limit : s;
}

/// p for values of x + y between low and high: their middle, since the variance's
/// rounding error grows with the square of the largest |s|. Of 12 bits, so that
/// x - p, for x near p / 2 with its 24 bits, is exact.
FUSED_SSIM_HOST_DEVICE float pivot(float low, float high) {
  const float middle = 0.5f * (low + high);
  const float shifted = middle * 4097.0f; // Veltkamp's splitting
  return shifted - (shifted - middle);
}

/// q for values of x - y between low and high: their middle. What the differences
/// have in common cancels in the gradient, except for the rounding of blur(d); q takes
/// it out before. It has to be small against C2, or else 0: where the images agree all
/// the same, Vd is not exactly 0 with it, but q^2 2^-24.
FUSED_SSIM_HOST_DEVICE float offset(float low, float high, float two_c2) {
  const float middle = 0.5f * (low + high);
  return 8 * middle * middle <= two_c2 ? middle : 0.0f;
}

/// 1 - SSIM = kValueScale * dssim_half.
constexpr int kValueScale = 2;
/// d(1 - SSIM)/d... = kPartialScale * ..., the factor 2 of 2 s and 2 d included:
/// d/dx = kPartialScale (G*(ms + md) + s G*(ss) + d G*(dd)).
constexpr int kPartialScale = 4;

/// Partial derivatives of 1 - SSIM in the four blurred maps, less their factors.
template <typename T>
struct Partials {
  T ms, md, ss, dd;
};

/// The arithmetic of T = float or double on the host. The device and the SIMD
/// vectors bring their own: fma(a, b, c) = a b + c, fnma(a, b, c) = c - a b,
/// neg(a) = -a.
template <typename T>
struct ScalarMath {
  static T fma(T a, T b, T c) {
    return a * b + c;
  }
  static T fnma(T a, T b, T c) {
    return c - a * b;
  }
  static T neg(T a) {
    return -a;
  }
  static T reciprocal(T a) {
    return T(1) / a;
  }
};

/// The quantities that value and partials share.
template <typename T, typename Math>
struct SSIMPixel {
  T ms, md, ms_shifted, md_shifted; // means, and ms - p, md - q
  T md2, m1, v2; // md^2, ms^2 + 2 C1, Vs + 2 C2
  T inv_d1, inv_d2; // 1 / D1, 1 / D2
  T luminance; // N1 / D1
  T vd_ratio; // Vd / D2
  T n2; // N2

  FUSED_SSIM_HOST_DEVICE SSIMPixel(
      const Blurred<T>& blurred,
      const SSIMConstants<T>& constants) {
    ms_shifted = blurred.s;
    ms = ms_shifted + constants.pivot;
    md_shifted = blurred.d;
    md = md_shifted + constants.offset;
    md2 = md * md;
    m1 = Math::fma(ms, ms, constants.two_c1);
    const T vd = Math::fnma(md_shifted, md_shifted, blurred.dd);
    v2 = Math::fnma(ms_shifted, ms_shifted, blurred.ss) + constants.two_c2;
    n2 = v2 - vd;
    inv_d1 = Math::reciprocal(m1 + md2);
    inv_d2 = Math::reciprocal(v2 + vd);
    luminance = (m1 - md2) * inv_d1;
    vd_ratio = vd * inv_d2;
  }

  /// (1 - SSIM) / kValueScale.
  FUSED_SSIM_HOST_DEVICE T dssim_half() const {
    return Math::fma(vd_ratio, luminance, md2 * inv_d1);
  }

  /// Partial derivatives of 1 - SSIM, to be multiplied by kPartialScale.
  FUSED_SSIM_HOST_DEVICE Partials<T> partials() const {
    const T l_inv_d2 = luminance * inv_d2;
    const T contrast_inv = n2 * inv_d2 * inv_d1 * inv_d1; // (N2 / D2) / D1^2
    Partials<T> p;
    p.ss = Math::neg(l_inv_d2 * vd_ratio);
    p.dd = l_inv_d2 * inv_d2 * v2;
    p.ms = Math::neg(Math::fma(ms * md2, contrast_inv, ms_shifted * p.ss));
    p.md = Math::fnma(md_shifted, p.dd, md * (m1 * contrast_inv));
    return p;
  }
};

} // namespace fused_ssim::detail
