#include "support.h"

namespace fused_ssim::test {
namespace {

using torch::kBFloat16;
using torch::kFloat16;
using torch::kFloat32;
using torch::kFloat64;
using torch::kUInt8;

const std::vector<torch::ScalarType> kFloats = {
    kFloat32,
    kFloat64,
    kFloat16,
    kBFloat16};

class TypesTest : public DeviceTest {
 protected:
  torch::Tensor image(const Sizes& sizes, torch::ScalarType type) const {
    return noise(sizes).to(device(), type);
  }
  torch::Tensor bytes(const Sizes& sizes) const {
    return torch::randint(256, sizes, kUInt8).to(device());
  }
  const Sizes sizes = {2, 3, scaled(40, 14), scaled(75, 40)};
};

TEST_P(TypesTest, OfWhatComesBack) {
  for (const auto type : kFloats) {
    SCOPED_TRACE(type);
    const auto scalar = type == kFloat64 ? kFloat64 : kFloat32;
    const auto x = image(sizes, type).requires_grad_();
    const auto y = image(sizes, type).requires_grad_();
    const auto ssim = F::ssim(x, y);
    EXPECT_EQ(ssim.scalar_type(), scalar);
    EXPECT_EQ(F::l1_dssim_loss(x, y).scalar_type(), scalar);
    const auto map = F::ssim(x, y, SSIMOptions().reduction(torch::kNone));
    EXPECT_EQ(map.scalar_type(), type);
    ssim.backward();
    map.sum().backward();
    EXPECT_EQ(x.grad().scalar_type(), type);
    EXPECT_EQ(y.grad().scalar_type(), type);

    const auto result = F::l1_dssim_value_and_grad(x, y);
    EXPECT_EQ(result.loss.scalar_type(), scalar);
    EXPECT_EQ(result.l1.scalar_type(), scalar);
    EXPECT_EQ(result.ssim.scalar_type(), scalar);
    EXPECT_EQ(result.grad.scalar_type(), type);
    const torch::NoGradGuard no_grad;
    EXPECT_EQ(F::ssim(x, y).scalar_type(), scalar);
  }
}

TEST_P(TypesTest, ScalarsOfHalfTypesAreAsExactAsOfFloat32) {
  for (const auto type : {kFloat16, kBFloat16}) {
    SCOPED_TRACE(type);
    for (const auto& pair : full_range_pairs({3, 40, 75})) {
      SCOPED_TRACE(pair.name);
      const auto x = pair.x.to(device(), type);
      const auto y = pair.y.to(device(), type);
      expect_scalar(
          F::ssim(x, y), expected(x, y, Spec(SSIMOptions())).value, 2e-6);
      expect_scalar(
          F::l1_dssim_loss(x, y),
          expected(x, y, Spec(L1DSSIMLossOptions())).value,
          2e-6);
    }
  }
}

TEST_P(TypesTest, MapsAndGradientsOfHalfTypesAreWithinRounding) {
  for (const auto type : {kFloat16, kBFloat16}) {
    for (const bool valid : {false, true}) {
      SCOPED_TRACE(type);
      SCOPED_TRACE(valid);
      const auto padding = valid ? SSIMOptions::padding_t(torch::kValid)
                                 : SSIMOptions::padding_t(torch::kSame);
      const auto x = image(sizes, type).requires_grad_();
      const auto y = image(sizes, type).requires_grad_();
      const auto options = L1DSSIMLossOptions(0.5).padding(padding);
      F::l1_dssim_loss(x, y, options).backward();
      auto reference = expected(x, y, Spec(options));
      expect_within_rounding(x.grad(), reference.grad_input);
      expect_within_rounding(y.grad(), reference.grad_target);

      x.mutable_grad() = y.mutable_grad() = torch::Tensor();
      const auto none = SSIMOptions().padding(padding).reduction(torch::kNone);
      const auto map = F::ssim(x, y, none);
      const auto upstream = torch::rand_like(map);
      map.backward(upstream);
      reference = expected(x, y, Spec(none), {}, upstream);
      expect_within_rounding(map.detach(), reference.value);
      expect_within_rounding(x.grad(), reference.grad_input);
      expect_within_rounding(y.grad(), reference.grad_target);
    }
  }
}

// Mixed precision scales the loss, because the gradient of a mean, about one
// over the number of values, would underflow in float16.
TEST_P(TypesTest, Float16GradientsSurviveByLossScaling) {
  const Sizes large = {1, 3, scaled(300, 40), scaled(400, 200)};
  constexpr double kScale = 65536;
  const auto x = image(large, kFloat16).requires_grad_();
  const auto y = image(large, kFloat16).requires_grad_();
  const L1DSSIMLossOptions options(0.5);
  for (const bool retained : {true, false}) {
    SCOPED_TRACE(retained);
    x.mutable_grad() = y.mutable_grad() = torch::Tensor();
    (F::l1_dssim_loss(x, y, options) * kScale).backward({}, retained);
    const auto upstream = torch::full({}, kScale, kFloat64);
    const auto reference = expected(x, y, Spec(options), {}, upstream);
    expect_within_rounding(x.grad(), reference.grad_input);
    expect_within_rounding(y.grad(), reference.grad_target);
  }
}

TEST_P(TypesTest, Float64IsComputedInFloat64) {
  const auto x = image(sizes, kFloat64).requires_grad_();
  const auto y = image(sizes, kFloat64).requires_grad_();
  const auto options = L1DSSIMLossOptions(0.5).padding(torch::kValid);
  const auto loss = F::l1_dssim_loss(x, y, options);
  loss.backward();
  const auto reference = expected(x, y, Spec(options));
  expect_scalar(loss, reference.value, 1e-12);
  expect_gradient(x.grad(), reference.grad_input);
  expect_gradient(y.grad(), reference.grad_target);
}

TEST_P(TypesTest, Uint8TargetIsTheConvertedOne) {
  for (const auto type : {kFloat32, kFloat64}) {
    SCOPED_TRACE(type);
    const auto x = image(sizes, type);
    const auto y = bytes(sizes);
    const auto converted = y.to(type) / 255;
    const double tolerance = type == kFloat64 ? 1e-13 : 1e-7;
    for (const bool valid : {false, true}) {
      const auto padding = valid ? SSIMOptions::padding_t(torch::kValid)
                                 : SSIMOptions::padding_t(torch::kSame);
      const auto options = L1DSSIMLossOptions(0.5).padding(padding);
      const auto result = F::l1_dssim_value_and_grad(x, y, options);
      const auto other = F::l1_dssim_value_and_grad(x, converted, options);
      expect_scalar(result.loss, other.loss, tolerance);
      expect_scalar(result.l1, other.l1, tolerance);
      expect_scalar(result.ssim, other.ssim, tolerance);
      EXPECT_LE(error_of(result.grad, other.grad).relative_l2, 2 * tolerance);

      const auto none = SSIMOptions().padding(padding).reduction(torch::kNone);
      const auto error =
          error_of(F::ssim(x, y, none), F::ssim(x, converted, none));
      EXPECT_LE(error.max, 10 * tolerance) << error;
    }
  }
}

TEST_P(TypesTest, Uint8TargetOfHalfTypes) {
  for (const auto type : {kFloat16, kBFloat16}) {
    SCOPED_TRACE(type);
    const auto x = image(sizes, type).requires_grad_();
    const auto y = bytes(sizes);
    // y / 255 exactly, not rounded to the half type.
    const auto reference = expected(x, y, Spec(L1DSSIMLossOptions()));
    const auto loss = F::l1_dssim_loss(x, y);
    loss.backward();
    expect_scalar(loss, reference.value, 1e-6);
    expect_within_rounding(x.grad(), reference.grad_input);
  }
}

TEST_P(TypesTest, Uint8TargetInAnyLayout) {
  const auto x = image(sizes, kFloat32);
  const auto y = bytes(sizes);
  const auto plain = F::l1_dssim_value_and_grad(x, y);
  for (const auto layout : kLayouts) {
    SCOPED_TRACE(name(layout));
    const auto result = F::l1_dssim_value_and_grad(x, lay_out(y, layout));
    EXPECT_NEAR(result.loss.item<double>(), plain.loss.item<double>(), 1e-7);
    EXPECT_LE(error_of(result.grad, plain.grad).relative_l2, 1e-6);
  }
}

TEST_P(TypesTest, Uint8TargetIsTheColoursOfAnRGBAImage) {
  const auto x = image({3, 20, 41}, kFloat32);
  const auto y = bytes({3, 20, 41});
  // [H, W, 4], with an alpha channel that is not read.
  const auto rgba =
      torch::cat({y, bytes({1, 20, 41})}).permute({1, 2, 0}).contiguous();
  const auto colours = rgba.narrow(-1, 0, 3).permute({2, 0, 1});
  ASSERT_EQ(colours.strides(), (Sizes{1, 4 * 41, 4}));
  const auto plain = F::l1_dssim_value_and_grad(x, y);
  const auto result = F::l1_dssim_value_and_grad(x, colours);
  EXPECT_NEAR(result.loss.item<double>(), plain.loss.item<double>(), 1e-7);
  EXPECT_NEAR(result.l1.item<double>(), plain.l1.item<double>(), 1e-7);
  EXPECT_NEAR(result.ssim.item<double>(), plain.ssim.item<double>(), 1e-7);
  EXPECT_LE(error_of(result.grad, plain.grad).relative_l2, 1e-6);
}

TEST_P(TypesTest, Uint8TargetEqualToTheInputIsIdentical) {
  const auto y = bytes({3, 20, 41});
  for (const auto type : {kFloat32, kFloat64}) {
    // y / 255 as the kernels read it, to within half a unit in the last place.
    const auto x = y.to(type) / 255;
    const auto result = F::l1_dssim_value_and_grad(x, y);
    const double last_place = type == kFloat64 ? 2e-16 : 1e-7;
    EXPECT_NEAR(result.ssim.item<double>(), 1, last_place);
    EXPECT_LE(result.l1.item<double>(), last_place);
  }
}

FUSED_SSIM_ON_EACH_DEVICE(TypesTest);

} // namespace
} // namespace fused_ssim::test
