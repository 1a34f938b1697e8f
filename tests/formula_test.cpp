// Tests the formula and the window, which all kernels share, without a kernel.

#include "support.h"

#include "../src/ssim_math.h"
#include "../src/window.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace fused_ssim::test {
namespace {

using detail::Blurred;
using detail::PivotSample;
using detail::SSIMConstants;
using Pixel = detail::SSIMPixel<double, detail::ScalarMath<double>>;

constexpr double kC1 = 1e-4;
constexpr double kC2 = 9e-4;

struct Pivots {
  double sum, difference;
};
const std::vector<Pivots> kPivots = {
    {0, 0},
    {0.5, 0},
    {1, 0.01},
    {1.75, -0.02}};

/// A pixel in the middle of a window of `x` and `y`.
Pixel pixel(
    const torch::Tensor& x, // [P]
    const torch::Tensor& y, // [P]
    const torch::Tensor& weight, // [P], of sum 1
    const Pivots& pivots) {
  const auto s = x + y - pivots.sum;
  const auto d = x - y - pivots.difference;
  const auto mean = [&](const torch::Tensor& values) {
    return (values * weight).sum().item<double>();
  };
  return Pixel(
      Blurred<double>{mean(s), mean(d), mean(s * s), mean(d * d)},
      SSIMConstants<double>{pivots.sum, pivots.difference, 2 * kC1, 2 * kC2});
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
  for (const auto& pivots : kPivots) {
    const auto x = noise({11});
    const auto y = noise({11});
    const auto p = pixel(x, y, weight, pivots);
    const double ssim = 1 - detail::kValueScale * p.dssim_half();
    EXPECT_NEAR(ssim, textbook(x, y, weight).item<double>(), 1e-13);
  }
}

TEST_F(FormulaTest, PartialsAreTheDerivatives) {
  for (const auto& pivots : kPivots) {
    for (const double apart : {1.0, 0.01}) {
      const auto x = noise({11}).requires_grad_();
      const auto y = (x + apart * (noise({11}) - x)).detach().requires_grad_();
      const auto gradients =
          torch::autograd::grad({1 - textbook(x, y, weight)}, {x, y});

      const auto p = pixel(x, y, weight, pivots).partials();
      const auto s = (x + y - pivots.sum).detach();
      const auto d = (x - y - pivots.difference).detach();
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

/// Pixels of data range 1, given by x + y and x - y.
PivotSample sample_of(const std::vector<std::pair<float, float>>& pixels) {
  PivotSample sample;
  for (const auto& [sum, difference] : pixels) {
    sample.include(sum, difference, /*range=*/1);
  }
  return sample;
}

float sum_pivot(const std::vector<float>& sums) {
  std::vector<std::pair<float, float>> pixels;
  for (const float sum : sums) {
    pixels.emplace_back(sum, 0.0f);
  }
  return sample_of(pixels).sum_pivot();
}

TEST_F(FormulaTest, SumPivotIsTheMiddleOfTwelveBits) {
  EXPECT_EQ(sum_pivot({0, 2}), 1);
  EXPECT_EQ(sum_pivot({0.25f}), 0.25f);
  for (int i = 0; i < 100; ++i) {
    const auto range = torch::rand({2}) * 2;
    const float low = range.min().item<float>();
    const float high = range.max().item<float>();
    const float pivot = sum_pivot({high, low});
    const float middle = 0.5f * (low + high);
    EXPECT_NEAR(pivot, middle, 1e-3 * middle);
    // 12 bits: 2^12 times its fraction is a whole number.
    int exponent = 0;
    const double fraction = std::frexp(pivot, &exponent);
    EXPECT_EQ(fraction * 4096, std::floor(fraction * 4096));
  }
}

TEST_F(FormulaTest, SumPivotIgnoresOutliersAndFollowsFarImages) {
  EXPECT_EQ(sum_pivot({0, 2, 1e6f, -1e30f}), 1);
  EXPECT_EQ(sum_pivot({2001.5f, 2000, 1e6f}), 2000);
  EXPECT_EQ(sum_pivot({-2001, -2000, 3000}), -2000);
  EXPECT_EQ(sum_pivot({}), 0);
  // Splitting into 12 bits overflows.
  EXPECT_EQ(sum_pivot({3e38f}), 0);
}

TEST_F(FormulaTest, SampleDoesNotDependOnTheOrder) {
  const std::vector<std::pair<float, float>> pixels = {
      {2000, 0.1f}, {-2000, -0.2f}, {3, 0.3f}, {0.5f, 0}, {1e9f, 4}};
  auto reversed = pixels;
  std::reverse(reversed.begin(), reversed.end());
  for (std::size_t count = 1; count <= pixels.size(); ++count) {
    const auto a = sample_of({pixels.begin(), pixels.begin() + count});
    const auto b = sample_of({reversed.end() - count, reversed.end()});
    EXPECT_EQ(a.sum_pivot(), b.sum_pivot());
    EXPECT_EQ(a.difference_pivot(1e-3f), b.difference_pivot(1e-3f));
  }
}

TEST_F(FormulaTest, DifferencePivotIsThatOfImagesApartByAConstant) {
  const auto two_c2 = static_cast<float>(2 * kC2);
  const auto pivot = [&](float low, float high) {
    return sample_of({{1, low}, {1, high}}).difference_pivot(two_c2);
  };
  EXPECT_FLOAT_EQ(pivot(0.001f, 0.0012f), 0.0011f);
  EXPECT_FLOAT_EQ(pivot(-0.0012f, -0.001f), -0.0011f);
  EXPECT_FLOAT_EQ(pivot(0, 0.001f), 0.0005f);
  // Too large against C2.
  EXPECT_EQ(pivot(-0.5f, 0.4f), 0);
  EXPECT_EQ(pivot(0.4f, 0.41f), 0);
  EXPECT_EQ(PivotSample().difference_pivot(two_c2), 0);
}

TEST_F(FormulaTest, UnitIsThePowerOfTwoBelowTheRange) {
  EXPECT_EQ(detail::unit_of(1), 1);
  EXPECT_EQ(detail::unit_of(255), 128);
  EXPECT_EQ(detail::unit_of(0.75), 0.5);
  EXPECT_EQ(detail::unit_of(1e-9), std::ldexp(1, -30));
  const auto constants = detail::constants_of(255, 0.01, 0.03);
  EXPECT_EQ(constants.range, 255.0 / 128);
  EXPECT_DOUBLE_EQ(constants.c1 * 128 * 128, 0.01 * 255 * 0.01 * 255);
  EXPECT_DOUBLE_EQ(constants.c2 * 128 * 128, 0.03 * 255 * 0.03 * 255);
}

TEST_F(FormulaTest, PartialsOfTinyConstantsAreFinite) {
  // Black against black, and grey against grey, with the least constants allowed.
  const float least = 2 * std::ldexp(std::numeric_limits<float>::min(), 24);
  using PixelOfFloat = detail::SSIMPixel<float, detail::ScalarMath<float>>;
  for (const float s : {0.0f, 1.0f}) {
    for (const float d : {0.0f, 0.5f}) {
      const PixelOfFloat p(
          {s, d, s * s, d * d}, SSIMConstants<float>{0, 0, least, least});
      const auto partials = p.partials();
      for (const float each :
           {p.dssim_half(),
            partials.ms,
            partials.md,
            partials.ss,
            partials.dd}) {
        EXPECT_TRUE(std::isfinite(each)) << s << " " << d;
      }
    }
  }
}

TEST_F(FormulaTest, WindowIsTheNormalisedGaussian) {
  for (std::int64_t size = 3; size <= 33; size += 2) {
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

TEST_F(FormulaTest, WindowOfATinySigmaIsOnePixel) {
  for (const double sigma : {1e-3, 1e-170, 1e-310}) {
    const auto window = detail::gaussian_window(5, sigma);
    EXPECT_EQ(window.taps[0], 1);
    EXPECT_EQ(window.taps[1], 0);
    EXPECT_EQ(window.taps[2], 0);
  }
}

} // namespace
} // namespace fused_ssim::test
