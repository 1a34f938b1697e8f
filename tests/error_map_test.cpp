// The map of errors that l1_dssim_value_and_grad returns on request.

#include "support.h"

#include <limits>

namespace fused_ssim::test {
namespace {

const std::vector<ErrorMap> kKinds = {
    ErrorMap::kLoss,
    ErrorMap::kDSSIM,
    ErrorMap::kContrastStructure};

class ErrorMapTest : public DeviceTest {
 protected:
  /// Compares each kind of map with the reference, and the rest of the result with that
  /// of a call without a map.
  static void compare(
      const torch::Tensor& x,
      const torch::Tensor& y,
      const L1DSSIMLossOptions& options,
      const torch::Tensor& mask = {}) {
    const auto plain = F::l1_dssim_value_and_grad(x, y, options, mask);
    EXPECT_FALSE(plain.error_map.defined());
    for (const auto kind : kKinds) {
      SCOPED_TRACE(
          testing::Message()
          << "map " << static_cast<int>(kind) << ", " << x.scalar_type()
          << x.sizes() << L1DSSIMLoss(options)
          << (mask.defined() ? " mask" : ""));
      const auto result = F::l1_dssim_value_and_grad(x, y, options, mask, kind);
      expect_same_bits(result.loss, plain.loss);
      expect_same_bits(result.l1, plain.l1);
      expect_same_bits(result.grad, plain.grad);
      if (options.dssim_weight() != 0) {
        expect_same_bits(result.ssim, plain.ssim);
      } else { // the map may take another way to SSIM
        expect_scalar(result.ssim, plain.ssim, 1e-6);
      }
      EXPECT_EQ(result.error_map.scalar_type(), x.scalar_type());
      EXPECT_FALSE(result.error_map.requires_grad());
      expect_map(
          result.error_map, reference_error_map(x, y, Spec(options), kind));
    }
  }
};

TEST_P(ErrorMapTest, IsThatOfTheReferenceAndChangesNothing) {
  const std::vector<SSIMOptions::padding_t> paddings = {
      torch::kSame, torch::kValid};
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    const Sizes sizes = {2, scaled(3, 1), scaled(23, 17), scaled(140, 45)};
    const auto x = image(sizes, type), y = image(sizes, type);
    // The map is not weighted.
    const auto mask = image({sizes[2], sizes[3]}, type);
    for (const auto& padding : paddings) {
      auto options = L1DSSIMLossOptions(0.4).padding(padding);
      compare(x, y, options);
      compare(x, y, options, mask);
      compare(x, y, options.crop_l1(true), mask > 0.4);
      compare(x, y, options.smooth_l1_beta(0.3));
    }
  }
}

TEST_P(ErrorMapTest, OfEachType) {
  for (const auto type : {torch::kFloat16, torch::kBFloat16}) {
    compare(image({3, 20, 41}, type), image({3, 20, 41}, type), 0.4);
  }
  const auto bytes =
      (noise({3, 20, 41}) * 255).round().to(device(), torch::kUInt8);
  compare(image({3, 20, 41}, torch::kFloat32), bytes, 0.4);
}

TEST_P(ErrorMapTest, OfAnyLayout) {
  const auto x = image({2, 3, 23, 45}, torch::kFloat32);
  const auto y = image({2, 3, 23, 45}, torch::kFloat32);
  for (const auto layout : kLayouts) {
    SCOPED_TRACE(name(layout));
    compare(lay_out(x, layout), lay_out(y, layout), 0.4);
  }
}

TEST_P(ErrorMapTest, OfAnyWindow) {
  const auto x = image({2, 33, 45}, torch::kFloat32);
  const auto y = image({2, 33, 45}, torch::kFloat32);
  const auto mask = image({33, 45}, torch::kFloat32);
  for (const int size : {3, 7, 21}) {
    auto options = L1DSSIMLossOptions(0.4).window_size(size);
    compare(x, y, options);
    compare(x, y, options, mask > 0.4);
    compare(x, y, options.padding(torch::kValid), mask);
  }
}

// The loss does not count the NaN, but the map, which is not weighted, shows it: in the
// windows that contain it and in no others.
TEST_P(ErrorMapTest, ShowsANaNUnderAWeightOfZero) {
  for (const int size : {7, 11, 13}) {
    SCOPED_TRACE(size);
    const int radius = size / 2;
    auto x = image({2, 40, 50}, torch::kFloat32);
    const auto y = image({2, 40, 50}, torch::kFloat32);
    x[0][20][25] = std::numeric_limits<float>::quiet_NaN();
    auto mask = torch::ones({40, 50}, x.options());
    const auto around = [](torch::Tensor of, int distance) {
      return of.slice(-2, 20 - distance, 21 + distance)
          .slice(-1, 25 - distance, 26 + distance);
    };
    around(mask, radius + 2).zero_();
    const auto options = L1DSSIMLossOptions(0.4).window_size(size);
    const auto plain = F::l1_dssim_value_and_grad(x, y, options, mask);
    const auto result =
        F::l1_dssim_value_and_grad(x, y, options, mask, ErrorMap::kDSSIM);
    EXPECT_TRUE(result.loss.isfinite().item<bool>());
    EXPECT_TRUE(result.grad.isfinite().all().item<bool>());
    expect_same_bits(result.loss, plain.loss);
    expect_same_bits(result.grad, plain.grad);
    auto shown = torch::zeros(x.sizes(), x.options().dtype(torch::kBool));
    around(shown[0], radius).fill_(true);
    expect_same_bits(result.error_map.isnan(), shown);
  }
}

TEST_P(ErrorMapTest, OfSeveralTilesAndStrips) {
  const Sizes sizes = {1, scaled(330, 70), scaled(600, 300)};
  const auto x = photograph(sizes).to(device(), torch::kFloat32);
  const auto y = disturbed(photograph(sizes), 0.05).to(x);
  compare(x, y, 0.4);
  compare(x, y, L1DSSIMLossOptions(0.4).padding(torch::kValid));
}

TEST_P(ErrorMapTest, ATermOfWeightZero) {
  const auto x = image({3, 20, 41}, torch::kFloat32);
  const auto y = image({3, 20, 41}, torch::kFloat32);
  const auto mask = image({20, 41}, torch::kFloat32);
  for (const double lambda : {0.0, 1.0}) {
    compare(x, y, lambda);
    compare(x, y, lambda, mask);
    compare(x, y, L1DSSIMLossOptions(lambda).reduction(torch::kSum));
  }
}

TEST_P(ErrorMapTest, OfIdenticalImagesIsZero) {
  const auto x = photograph({3, 20, 41}).to(device(), torch::kFloat32);
  for (const auto kind : kKinds) {
    const auto result = F::l1_dssim_value_and_grad(x, x, {}, {}, kind);
    EXPECT_EQ(result.error_map.abs().max().item<double>(), 0);
  }
}

TEST_P(ErrorMapTest, MeanOverTheChannels) {
  const auto x = image({3, 20, 41}, torch::kFloat32);
  const auto y = image({3, 20, 41}, torch::kFloat32);
  const auto result =
      F::l1_dssim_value_and_grad(x, y, 0.2, {}, ErrorMap::kDSSIM);
  const auto per_pixel = result.error_map.mean(-3);
  EXPECT_EQ(per_pixel.sizes(), (Sizes{20, 41}));
  expect_scalar(per_pixel.mean(), 1 - result.ssim, 1e-6);
}

TEST_P(ErrorMapTest, OfAnEmptyBatch) {
  const auto x = torch::empty({0, 3, 16, 16}, device());
  const auto result = F::l1_dssim_value_and_grad(
      x, x, L1DSSIMLossOptions().padding(torch::kValid), {}, ErrorMap::kDSSIM);
  EXPECT_EQ(result.error_map.sizes(), (Sizes{0, 3, 6, 6}));
}

FUSED_SSIM_ON_EACH_DEVICE(ErrorMapTest);

} // namespace
} // namespace fused_ssim::test
