// Accuracy of float32 where E[x^2] - mu^2 in float32 has no digits left.
// docs/accuracy.md shows the errors beside those of the plain composition.

#include "support.h"

#include <limits>

namespace fused_ssim::test {
namespace {

class AccuracyTest : public DeviceTest {
 protected:
  const Sizes sizes = {3, scaled(200, 37), scaled(300, 150)};

  torch::Tensor single(const torch::Tensor& image) const {
    return image.to(device(), torch::kFloat32);
  }

  void expect_map_within(const std::vector<ImagePair>& pairs, double bound)
      const {
    for (const auto& pair : pairs) {
      for (const bool valid : {false, true}) {
        SCOPED_TRACE(pair.name + (valid ? ", valid" : ", same"));
        const auto x = single(pair.x);
        const auto y = single(pair.y);
        auto options =
            SSIMOptions().data_range(pair.data_range).reduction(torch::kNone);
        if (valid) {
          options.padding(torch::kValid);
        }
        const auto map = F::ssim(x, y, options);
        const auto error = error_of(map, expected(x, y, Spec(options)).value);
        EXPECT_LE(error.max, bound);
        EXPECT_LE(map.max().item<double>(), 1 + 1e-7);
        // The same value without a map, and with a gradient.
        auto mean = options;
        mean.reduction(torch::kMean);
        const auto reference = expected(x, y, Spec(mean)).value;
        expect_scalar(F::ssim(x, y, mean), reference, 1e-6);
        const auto leaf = x.clone().requires_grad_();
        expect_scalar(F::ssim(leaf, y, mean), reference, 1e-6);
      }
    }
  }

  void expect_gradient_within(const ImagePair& pair, double bound) const {
    for (const bool valid : {false, true}) {
      SCOPED_TRACE(pair.name + (valid ? ", valid" : ", same"));
      const auto x = leaf_of(pair.x, device(), torch::kFloat32);
      const auto y = leaf_of(pair.y, device(), torch::kFloat32);
      auto options = SSIMOptions().data_range(pair.data_range);
      if (valid) {
        options.padding(torch::kValid);
      }
      F::ssim(x, y, options).backward();
      const auto reference = expected(x, y, Spec(options));
      const auto of_x = error_of(x.grad(), reference.grad_input);
      const auto of_y = error_of(y.grad(), reference.grad_target);
      EXPECT_LE(of_x.relative_l2, bound) << of_x;
      EXPECT_LE(of_y.relative_l2, bound) << of_y;
    }
  }
};

TEST_P(AccuracyTest, MapOfBrightLowContrast) {
  expect_map_within(bright_low_contrast_pairs(sizes), 5e-6);
}

TEST_P(AccuracyTest, MapOfAnythingInRange) {
  expect_map_within(full_range_pairs(sizes), 5e-5);
}

TEST_P(AccuracyTest, GradientOfRandomImages) {
  expect_gradient_within({"random", noise(sizes), noise(sizes)}, 5e-7);
}

TEST_P(AccuracyTest, GradientOfImagesOnePercentApart) {
  const auto x = noise(sizes);
  expect_gradient_within({"random", x, x + 0.01 * noise(sizes)}, 5e-7);
  expect_gradient_within({"random, scaled", x, 0.99 * x}, 5e-7);
}

TEST_P(AccuracyTest, GradientOfPhotographs) {
  const auto photo = photograph(sizes);
  expect_gradient_within({"apart", photo, disturbed(photo, 0.05)}, 5e-6);
  expect_gradient_within(
      {"1 % apart", photo, photo + 0.01 * noise(sizes)}, 5e-6);
}

TEST_P(AccuracyTest, GradientOfBrightLowContrast) {
  for (const auto& pair : bright_low_contrast_pairs(sizes)) {
    expect_gradient_within(pair, 5e-7);
  }
}

TEST_P(AccuracyTest, IdenticalImages) {
  for (const auto type :
       {torch::kFloat32, torch::kFloat64, torch::kFloat16, torch::kBFloat16}) {
    for (const auto& pair : full_range_pairs(sizes)) {
      for (const bool valid : {false, true}) {
        SCOPED_TRACE(testing::Message() << type << ", " << pair.name);
        const auto x = pair.x.to(device(), type);
        const auto a = x.clone().requires_grad_();
        const auto b = x.clone().requires_grad_();
        auto options = L1DSSIMLossOptions(0.5);
        auto ssim_options = SSIMOptions();
        if (valid) {
          options.padding(torch::kValid);
          ssim_options.padding(torch::kValid);
        }
        const auto loss = F::l1_dssim_loss(a, b, options);
        loss.backward();
        EXPECT_EQ(loss.item<double>(), 0);
        EXPECT_EQ(a.grad().abs().max().item<double>(), 0);
        EXPECT_EQ(b.grad().abs().max().item<double>(), 0);
        EXPECT_EQ(F::ssim(x, x, ssim_options).item<double>(), 1);
        ssim_options.reduction(torch::kNone);
        const auto map = F::ssim(x, x, ssim_options);
        EXPECT_EQ((map - 1).abs().max().item<double>(), 0);
      }
    }
  }
}

// The images differ by one unit in the last place, in all pixels or in one
// column.
TEST_P(AccuracyTest, NeverAboveOne) {
  for (const double level : {0.0, 1e-3, 0.3, 0.9, 1.0}) {
    const auto x = single(torch::full(sizes, level, torch::kFloat64));
    const auto above = torch::nextafter(x, torch::full_like(x, 2));
    auto one = x.clone();
    one.select(-1, 17).copy_(above.select(-1, 17));
    for (const auto& y : {above, one}) {
      const auto map = F::ssim(x, y, SSIMOptions().reduction(torch::kNone));
      EXPECT_LE(map.max().item<double>(), 1 + 1e-7) << level;
      EXPECT_GE(map.min().item<double>(), 1 - 1e-5) << level;
    }
  }
}

TEST_P(AccuracyTest, OffsetInAPartOfTheImage) {
  const auto x = single(0.5 + 0.01 * noise(sizes));
  auto y = x + 1e-3;
  y.slice(-1, 30, 60).copy_(x.slice(-1, 30, 60));
  const auto options = SSIMOptions().reduction(torch::kNone);
  const auto map = F::ssim(x, y, options);
  EXPECT_LE(map.max().item<double>(), 1 + 1e-7);
  EXPECT_LE(error_of(map, expected(x, y, Spec(options)).value).max, 5e-6);
}

TEST_P(AccuracyTest, ImagesAroundZero) {
  expect_map_within(
      {{"-1 .. 1", 2 * noise(sizes) - 1, 2 * noise(sizes) - 1, 2},
       {"-0.5 .. 0.5", noise(sizes) - 0.5, noise(sizes) - 0.5},
       {"-1 .. -0.99", 0.01 * noise(sizes) - 1, 0.01 * noise(sizes) - 1, 2}},
      5e-6);
}

/// The images and their range times a factor: SSIM is the same, and so are the digits.
TEST_P(AccuracyTest, AnyDataRange) {
  const auto photo = photograph(sizes);
  for (const double range : {1e-9, 0.3, 255.0, 65535.0, 1e12}) {
    SCOPED_TRACE(range);
    const auto x = noise(sizes), y = noise(sizes);
    expect_map_within({{"noise", range * x, range * y, range}}, 5e-6);
    expect_gradient_within({"noise", range * x, range * y, range}, 5e-7);
    const auto other = disturbed(photo, 0.05);
    expect_map_within(
        {{"photographs", range * photo, range * other, range}}, 5e-5);
    expect_gradient_within(
        {"photographs", range * photo, range * other, range}, 5e-6);
  }
}

// Far outside of the range, where float32 itself has few digits left: E[x^2] - mu^2
// would have none.
TEST_P(AccuracyTest, FarOutsideOfTheDataRange) {
  for (const double level : {10.0, 100.0, 1000.0, -1000.0}) {
    SCOPED_TRACE(level);
    const ImagePair pair = {
        "far", level + noise(sizes), level + 0.3 * noise(sizes)};
    for (const bool swapped : {false, true}) {
      const auto x = single(swapped ? pair.y : pair.x);
      const auto y = single(swapped ? pair.x : pair.y);
      const auto options = SSIMOptions().padding(torch::kValid);
      auto none = options;
      none.reduction(torch::kNone);
      const auto map = F::ssim(x, y, none);
      EXPECT_LE(error_of(map, expected(x, y, Spec(none)).value).max, 5e-5);
      const auto leaf = x.clone().requires_grad_();
      F::ssim(leaf, y, options).backward();
      const auto reference = expected(x, y, Spec(options)).grad_input;
      EXPECT_LE(error_of(leaf.grad(), reference).relative_l2, 5e-5);
    }
  }
}

/// 1 where the window of `radius` around a pixel contains a pixel of `spots`.
torch::Tensor reach(const torch::Tensor& spots, std::int64_t radius) {
  return torch::max_pool2d(
             spots.to(torch::kFloat32),
             2 * radius + 1,
             /*stride=*/1,
             /*padding=*/radius)
      .to(torch::kBool);
}

TEST_P(AccuracyTest, NaNAndInfReachExactlyTheirWindows) {
  const std::int64_t height = scaled(70, 40);
  const std::int64_t width = scaled(310, 150);
  const Sizes shape = {2, height, width};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, infinity, -infinity}) {
    for (const bool in_target : {false, true}) {
      SCOPED_TRACE(testing::Message() << bad << ", in target " << in_target);
      const auto x = noise(shape);
      const auto y = noise(shape);
      auto spots = torch::zeros(shape, torch::kBool);
      spots[0][0][width - 1] = spots[0][height / 2][3] =
          spots[1][height - 2][width / 2] = true;
      (in_target ? y : x).masked_fill_(spots, bad);
      const auto a = leaf_of(x, device(), torch::kFloat32);
      const auto b = single(y);

      const auto none = SSIMOptions().reduction(torch::kNone);
      const auto map = F::ssim(a, b, none).detach().cpu();
      const auto in_map = reach(spots, 5);
      EXPECT_TRUE(map.isnan().equal(in_map));
      const auto clean = expected(
          torch::where(spots, 0.5, x), torch::where(spots, 0.5, y), Spec(none));
      const auto outside = in_map.logical_not();
      EXPECT_LE(
          error_of(map.index({outside}), clean.value.index({outside})).max,
          1e-5);

      // The gradient of a pixel depends on all windows that contain the pixel.
      // The L1 term depends on the spots themselves, which lie in these windows
      // anyway.
      F::l1_dssim_loss(a, b, L1DSSIMLossOptions(0.5).reduction(torch::kSum))
          .backward();
      const auto in_gradient = reach(in_map, 5);
      const auto gradient = a.grad().cpu();
      EXPECT_TRUE(gradient.isnan().equal(in_gradient));
      const auto far = in_gradient.logical_not();
      const auto reference = expected(
          torch::where(spots, 0.5, x),
          torch::where(spots, 0.5, y),
          Spec(L1DSSIMLossOptions(0.5).reduction(torch::kSum)));
      EXPECT_LE(
          error_of(gradient.index({far}), reference.grad_input.index({far}))
              .relative_l2,
          5e-6);
    }
  }
}

// Renders are not clamped. Large values affect only the windows that contain
// them. The other windows keep their digits.
TEST_P(AccuracyTest, BrightPixelsStayInTheirWindows) {
  const Sizes shape = {1, scaled(70, 40), scaled(310, 150)};
  const auto x = noise(shape);
  const auto y = noise(shape);
  auto spots = torch::zeros(shape, torch::kBool);
  for (std::int64_t row = 1; row < shape[1]; row += 13) {
    spots[0][row][row] = true;
  }
  const auto options = SSIMOptions().reduction(torch::kNone);
  const auto clean = expected(x, y, Spec(options)).value;
  const auto outside = reach(spots, 5).logical_not();
  for (const double bright : {10.0, 100.0, 1e4, 1e15}) {
    const auto map =
        F::ssim(single(torch::where(spots, bright, x)), single(y), options);
    EXPECT_LE(
        error_of(map.cpu().index({outside}), clean.index({outside})).max, 3e-4)
        << bright;
  }
}

FUSED_SSIM_ON_EACH_DEVICE(AccuracyTest);

} // namespace
} // namespace fused_ssim::test
