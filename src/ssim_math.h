#pragma once

// The formula's only home: SSIM of one pixel and its partial derivatives, for the
// host, the device and SIMD vectors alike.
//
// NOTE [ Sum and difference ]
//
// The usual way computes SSIM from the blurs of x, y, x^2, y^2 and x y. It takes the
// variances as E[x^2] - mu^2, and that difference cancels all digits that its two
// numbers share. On bright, flat or nearly equal images few digits are left. Here
//
//     s = x + y - p   and   d = x - y - q,
//
// are blurred, and s^2 and d^2. The pivot p is any number near the local values of
// x + y. The pivot q is a number near those of x - y, or 0. With ms' = blur(s),
// ms = ms' + p, md' = blur(d), md = md' + q, Vs = blur(s^2) - ms'^2 and
// Vd = blur(d^2) - md'^2, SSIM is (N1 / D1) (N2 / D2), where
//
//     N1 = ms^2 - md^2 + 2 C1    D1 = ms^2 + md^2 + 2 C1
//     N2 = Vs - Vd + 2 C2        D2 = Vs + Vd + 2 C2
//
// Since D1 = N1 + 2 md^2 and D2 = N2 + 2 Vd,
//
//     1 - SSIM = 2 (md^2 / D1 + (N1 / D1) Vd / D2)
//
// Each term of this sum, and of the derivatives, is a product with md or Vd. Where
// the images agree, md and Vd are exactly 0. Hence SSIM is exactly 1 there, its
// gradient is exactly 0, and SSIM <= 1 needs no clamp. Outside the image x = y = 0,
// so that s = -p and d = -q.
//
// The gradient of the sum of 1 - SSIM follows from the partial derivatives in the
// four blurred maps and from the adjoint blur G*. The window is symmetric, so G* is
// the same blur. The partial derivatives are 0 where the map has no pixel.
//
//     d/dx = G*(dms + dmd) + 2 s G*(dEs) + 2 d G*(dEd)
//     d/dy = G*(dms - dmd) + 2 s G*(dEs) - 2 d G*(dEd)
//
// All four share the factor kPartialScale, which they leave to the last step.
//
// x and y are in units of Constants::unit, so that no product of these overflows or
// vanishes in float32 for any data range.

// NOTE [ Contrast-structure alone ]
//
// MS-SSIM needs N2 / D2, SSIM's second factor, at all of its scales but one. It is SSIM
// with an infinite C1. The kernels take 2 C1 = kInfiniteTwoC1 for that, a power of two,
// and compute what they always do:
//
// - While ms^2 is less than half a unit in the last place of 2 C1, D1 and N1 are 2 C1
//   exactly, and the first factor N1 / D1 is exactly 1. In float32 that holds for
//   |x + y| < 8192 L, in float64 for 2^73 L.
// - Further off, N1 / D1 differs from 1 by 2 (x - y)^2 / (2 C1).
// - md^2 / D1 and md / D1 are added to Vd / D2 and to md / D2. They are smaller by
//   2^50, less than the rounding of the larger.
//
// A larger power would make subnormal numbers of the products with 1 / D1, which some
// processors compute slowly.

#include "host_device.h"

#include <cmath>

namespace fused_ssim::detail {

/// 2 C1 of NOTE [ Contrast-structure alone ].
template <typename T>
constexpr double kInfiniteTwoC1 = sizeof(T) == sizeof(float) ? 0x1p50 : 0x1p200;

/// The four blurred maps at one pixel.
template <typename T>
struct Blurred {
  T s, d, ss, dd; // blur(s), blur(d) (not yet shifted back), blur(s^2), ...
};

/// p, q, 2 C1 and 2 C2.
template <typename T>
struct SSIMConstants {
  T sum_pivot, difference_pivot, two_c1, two_c2;
};

/// What a sample of pixels tells about p and q.
struct PivotSample {
  /// The range of x + y among pixels with |x + y| <= 4 L; low > high: none yet. A
  /// pixel far outside of the data range, as renders have early in a training, does
  /// not spoil the pivot of all others.
  float low_sum = kNone, high_sum = -kNone;
  /// The smallest |x + y|, for images that lie far outside of the range as a whole.
  float nearest_sum = kNone;
  /// The range of x - y.
  float low_difference = kNone, high_difference = -kNone;

  static constexpr float kNone = 3.402823466e+38f; // the largest float

  /// x + y and x - y of one pixel. Both have to be finite: a NaN may spoil the
  /// windows that contain it, but no others.
  FUSED_SSIM_HOST_DEVICE void include(
      float sum,
      float difference,
      float range) {
    const float size = sum < 0 ? -sum : sum;
    const bool near = size <= 4 * range;
    include(
        {near ? sum : kNone, near ? sum : -kNone, sum, difference, difference});
  }

  FUSED_SSIM_HOST_DEVICE void include(const PivotSample& other) {
    const auto smaller = [](float a, float b) { return a < b ? a : b; };
    const auto larger = [](float a, float b) { return a > b ? a : b; };
    const auto size = [](float a) { return a < 0 ? -a : a; };
    low_sum = smaller(low_sum, other.low_sum);
    high_sum = larger(high_sum, other.high_sum);
    // Between -a and a it takes the smaller, so that the order of pixels does not matter.
    const float mine = size(nearest_sum), others = size(other.nearest_sum);
    nearest_sum = mine == others ? smaller(nearest_sum, other.nearest_sum)
        : mine < others          ? nearest_sum
                                 : other.nearest_sum;
    low_difference = smaller(low_difference, other.low_difference);
    high_difference = larger(high_difference, other.high_difference);
  }

  /// p: the middle of the range, since the variance's rounding error grows with the
  /// square of the largest |s|. It has 12 bits, so that x - p is exact for x near
  /// p / 2 with its 24 bits.
  FUSED_SSIM_HOST_DEVICE float sum_pivot() const {
    if (low_sum > high_sum && nearest_sum == kNone) {
      return 0; // no finite pixel
    }
    const float middle =
        low_sum <= high_sum ? 0.5f * (low_sum + high_sum) : nearest_sum;
    const float shifted = middle * 4097.0f; // Veltkamp's splitting
    const float pivot = shifted - (shifted - middle);
    return pivot - pivot == 0 ? pivot : 0; // an infinite `shifted`
  }

  /// q: the middle of the range. An offset that all differences share cancels in the
  /// gradient, except for the rounding of blur(d). q removes the offset before the blur.
  /// With a q other than 0, Vd is not exactly 0 where the images agree, but q^2 2^-24. So
  /// q has to be small against C2, or else it is 0. It may be larger if no pixel of the
  /// sample agrees, or nearly agrees: the images then differ in brightness.
  FUSED_SSIM_HOST_DEVICE float difference_pivot(float two_c2) const {
    if (low_difference > high_difference) {
      return 0;
    }
    const float middle = 0.5f * (low_difference + high_difference);
    const float size = middle < 0 ? -middle : middle;
    const float nearest = middle < 0 ? -high_difference : low_difference;
    const float limit = 2 * nearest >= size ? 16.0f : 0.125f;
    return middle * middle <= limit * two_c2 ? middle : 0.0f;
  }
};

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
/// neg(a) = -a, min(a, b), which may be either if a is NaN.
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
  static T min(T a, T b) {
    return a < b ? a : b;
  }
};

/// Smooth L1, as torch::smooth_l1_loss: d^2 / (2 beta) for |d| < beta, and otherwise
/// |d| - beta / 2. A beta of 0 stands for |d| itself, and has no use for the functions.
template <typename T>
struct SmoothL1 {
  T beta = T(0), inverse_beta = T(0);

  /// Of |d|. With m = min(|d|, beta), m / beta (|d| - m / 2) is right on both sides.
  template <typename Math>
  FUSED_SSIM_HOST_DEVICE T value(const T& size) const {
    const T m = Math::min(size, beta);
    return (m * inverse_beta) * Math::fnma(T(0.5), m, size);
  }

  /// The size of the derivative at |d|; its sign is that of d.
  template <typename Math>
  FUSED_SSIM_HOST_DEVICE T slope(const T& size) const {
    return Math::min(size * inverse_beta, T(1));
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
    ms = ms_shifted + constants.sum_pivot;
    md_shifted = blurred.d;
    md = md_shifted + constants.difference_pivot;
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
    return partials_of(inv_d2);
  }

  /// The same, times `factor`.
  FUSED_SSIM_HOST_DEVICE Partials<T> partials(T factor) const {
    return partials_of(inv_d2 * factor);
  }

 private:
  /// The order of the products keeps each factor below 1 / D: 1 / D^2 would overflow
  /// where C1 or C2 is small.
  FUSED_SSIM_HOST_DEVICE Partials<T> partials_of(T factor_inv_d2) const {
    const T l_inv_d2 = luminance * factor_inv_d2;
    const T md_inv_d1 = md * inv_d1;
    const T contrast_md = n2 * factor_inv_d2 * md_inv_d1; // (N2 / D2) md / D1
    Partials<T> p;
    p.ss = Math::neg(l_inv_d2 * vd_ratio);
    p.dd = l_inv_d2 * (inv_d2 * v2);
    p.ms = Math::neg(Math::fma(ms * md_inv_d1, contrast_md, ms_shifted * p.ss));
    p.md = Math::fnma(md_shifted, p.dd, m1 * inv_d1 * contrast_md);
    return p;
  }
};

} // namespace fused_ssim::detail
