// Tests the formula and the window, which all kernels share, without a kernel.

#include "support.h"

#include "../src/ssim_math.h"
#include "../src/window.h"

#include <cmath>

namespace fused_ssim::test {
namespace {

using detail::Blurred;
using detail::SSIMConstants;
using Pixel = detail::SSIMPixel<double, detail::ScalarMath<double>>;

constexpr double kC1 = 1e-4;
constexpr double kC2 = 9e-4;

struct Shift {
  double pivot, offset;
};
const std::vector<Shift> kShifts = {{0, 0}, {0.5, 0}, {1, 0.01}, {1.75, -0.02}};

/// A pixel in the middle of a window of `x` and `y`.
Pixel pixel(
    const torch::Tensor& x, // [P]
    const torch::Tensor& y, // [P]
    const torch::Tensor& weight, // [P], of sum 1
    const Shift& shift) {
  const auto s = x + y - shift.pivot;
  const auto d = x - y - shift.offset;
  const auto mean = [&](const torch::Tensor& values) {
    return (values * weight).sum().item<double>();
  };
  return Pixel(
      Blurred<double>{mean(s), mean(d), mean(s * s), mean(d * d)},
      SSIMConstants<double>{shift.pivot, 2 * kC1, 2 * kC2, shift.offset});
}

torch::Tensor textbook(
    const torch::Tensor& x,
    const torch::Tensor& y,
    const torch::Tensor& weight) {
  const auto mean = [&](const torch::Tensor& values) {
    return (values * weight).sum();
  };
  const auto mx = mean(x);
  const auto my = mean(y);
  const auto vx = mean(x * x) - mx * mx;
  const auto vy = mean(y * y) - my * my;
  const auto vxy = mean(x * y) - mx * my;
  return (2 * mx * my + kC1) * (2 * vxy + kC2) /
      ((mx * mx + my * my + kC1) * (vx + vy + kC2));
}

class FormulaTest : public SeededTest {
 protected:
  const torch::Tensor weight = reference_window(11, 1.5);
};

TEST_F(FormulaTest, ValueIsThatOfTheTextbook) {
  for (const auto& shift : kShifts) {
    const auto x = noise({11});
    const auto y = noise({11});
    const auto p = pixel(x, y, weight, shift);
    const double ssim = 1 - detail::kValueScale * p.dssim_half();
    EXPECT_NEAR(ssim, textbook(x, y, weight).item<double>(), 1e-13);
  }
}

TEST_F(FormulaTest, PartialsAreTheDerivatives) {
  for (const auto& shift : kShifts) {
    for (const double apart : {1.0, 0.01}) {
      const auto x = noise({11}).requires_grad_();
      const auto y = (x + apart * (noise({11}) - x)).detach().requires_grad_();
      const auto gradients =
          torch::autograd::grad({1 - textbook(x, y, weight)}, {x, y});

      const auto p = pixel(x, y, weight, shift).partials();
      const auto s = (x + y - shift.pivot).detach();
      const auto d = (x - y - shift.offset).detach();
      const auto by_s = weight * p.ms + s * (weight * p.ss);
      const auto by_d = weight * p.md + d * (weight * p.dd);
      EXPECT_LE(
          error_of(detail::kPartialScale * (by_s + by_d), gradients[0])
              .relative_l2,
          1e-12);
      EXPECT_LE(
          error_of(detail::kPartialScale * (by_s - by_d), gradients[1])
              .relative_l2,
          1e-12);
    }
  }
}

TEST_F(FormulaTest, IdenticalImagesGiveExactlyOneAndNoGradient) {
  for (int i = 0; i < 100; ++i) {
    const auto x = noise({11});
    const auto p = pixel(x, x, weight, {0.75, 0});
    EXPECT_EQ(p.dssim_half(), 0);
    const auto partials = p.partials();
    EXPECT_EQ(partials.md, 0);
    EXPECT_EQ(partials.ms, 0);
    EXPECT_EQ(partials.ss, 0);
  }
}

TEST_F(FormulaTest, PivotIsTheMiddleOfTwelveBits) {
  EXPECT_EQ(detail::pivot(0, 2), 1);
  EXPECT_EQ(detail::pivot(0.25f, 0.25f), 0.25f);
  for (int i = 0; i < 100; ++i) {
    const auto range = torch::rand({2}) * 2;
    const float low = range.min().item<float>();
    const float high = range.max().item<float>();
    const float pivot = detail::pivot(low, high);
    const float middle = 0.5f * (low + high);
    EXPECT_NEAR(pivot, middle, 1e-3 * middle);
    // The pivot has 12 bits: its fraction times 2^12 is a whole number.
    int exponent = 0;
    const double fraction = std::frexp(pivot, &exponent);
    EXPECT_EQ(fraction * 4096, std::floor(fraction * 4096));
  }
}

TEST_F(FormulaTest, OffsetIsThatOfImagesApartByAConstant) {
  const auto two_c2 = static_cast<float>(2 * kC2);
  EXPECT_FLOAT_EQ(detail::offset(0.001f, 0.0012f, two_c2), 0.0011f);
  EXPECT_FLOAT_EQ(detail::offset(-0.0012f, -0.001f, two_c2), -0.0011f);
  EXPECT_FLOAT_EQ(detail::offset(0, 0.001f, two_c2), 0.0005f);
  // Too large against C2.
  EXPECT_EQ(detail::offset(-0.5f, 0.4f, two_c2), 0);
  EXPECT_EQ(detail::offset(0.4f, 0.41f, two_c2), 0);
}

TEST_F(FormulaTest, WindowIsTheNormalisedGaussian) {
  for (std::int64_t size = 3; size <= 31; size += 2) {
    for (const double sigma : {0.1, 0.5, 1.5, 7.0, 1e3}) {
      const auto window = detail::gaussian_window(size, sigma);
      ASSERT_EQ(window.radius, size / 2);
      const auto taps = reference_window(size, sigma);
      double sum = 0;
      for (int k = -window.radius; k <= window.radius; ++k) {
        const double tap = window.taps[std::abs(k)];
        sum += tap;
        EXPECT_NEAR(tap, taps[k + window.radius].item<double>(), 1e-15);
      }
      EXPECT_NEAR(sum, 1, 1e-14);
    }
  }
}

} // namespace
} // namespace fused_ssim::test
