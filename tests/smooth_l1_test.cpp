// Smooth L1 in place of L1: L1DSSIMLossOptions::smooth_l1_beta.

#include "support.h"

namespace fused_ssim::test {
namespace {

class SmoothL1Test : public DeviceTest {
 protected:
  torch::Tensor image(const Sizes& sizes, torch::ScalarType type) const {
    return noise(sizes).to(device(), type);
  }

  /// Compares the value and the gradients in both images with the reference. Maps,
  /// scalars and gradients are worked out by different code.
  static void compare(
      const torch::Tensor& x,
      const torch::Tensor& y,
      const L1DSSIMLossOptions& options,
      const torch::Tensor& mask = {}) {
    SCOPED_TRACE(
        testing::Message() << x.scalar_type() << x.sizes()
                           << L1DSSIMLoss(options)
                           << (mask.defined() ? " mask" : ""));
    const auto a = x.clone().requires_grad_();
    const auto b = y.clone().requires_grad_();
    const auto value = F::l1_dssim_loss(a, b, options, mask);
    value.sum().backward();
    const auto reference = expected(x, y, Spec(options), mask);
    const auto expect_value = [&](const torch::Tensor& actual) {
      if (actual.dim() == 0) {
        expect_scalar(
            actual, reference.value, value_tolerance(actual.scalar_type()));
      } else {
        expect_map(actual, reference.value);
      }
    };
    expect_value(value);
    expect_gradient(a.grad(), reference.grad_input);
    expect_gradient(b.grad(), reference.grad_target);
    const torch::NoGradGuard no_grad;
    expect_value(F::l1_dssim_loss(x, y, options, mask));
  }
};

TEST_P(SmoothL1Test, ValueAndGradients) {
  const Sizes sizes = {2, scaled(3, 1), scaled(23, 17), scaled(140, 45)};
  const std::vector<SSIMOptions::padding_t> paddings = {
      torch::kSame, torch::kValid};
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    const auto x = image(sizes, type), y = image(sizes, type);
    const auto mask = image({sizes[2], sizes[3]}, type);
    // Below, among and above the differences, of which many are on either side.
    for (const double beta : {0.01, 0.3, 3.0}) {
      for (const auto& padding : paddings) {
        for (const double lambda : {0.0, 0.4}) {
          auto options =
              L1DSSIMLossOptions(lambda).smooth_l1_beta(beta).padding(padding);
          compare(x, y, options);
          compare(x, y, options, mask);
          compare(x, y, options.crop_l1(true), mask > 0.4);
          compare(x, y, options.reduction(torch::kNone), mask);
        }
      }
    }
  }
}

TEST_P(SmoothL1Test, HalfTypes) {
  for (const auto type : {torch::kFloat16, torch::kBFloat16}) {
    const auto x = image({3, 20, 41}, type), y = image({3, 20, 41}, type);
    compare(x, y, L1DSSIMLossOptions(0.4).smooth_l1_beta(0.3));
  }
}

TEST_P(SmoothL1Test, BytesAndPermutedImages) {
  const auto x = image({20, 41, 3}, torch::kFloat32).permute({2, 0, 1});
  const auto y = (noise({3, 20, 41}) * 255).round().to(device(), torch::kUInt8);
  const auto options = L1DSSIMLossOptions(0.4).smooth_l1_beta(0.3);
  const auto reference = expected(x, y, Spec(options));
  const auto result = F::l1_dssim_value_and_grad(x, y, options);
  expect_scalar(result.loss, reference.value, 1e-6);
  expect_gradient(result.grad, reference.grad_input);
}

TEST_P(SmoothL1Test, BetaIsInTheUnitsOfTheImages) {
  for (const double range : {1e-6, 3.0, 255.0}) {
    const auto x = range * image({3, 20, 31}, torch::kFloat32);
    const auto y = range * image({3, 20, 31}, torch::kFloat32);
    const auto options =
        L1DSSIMLossOptions(0.4).smooth_l1_beta(0.3 * range).data_range(range);
    const auto reference = expected(x, y, Spec(options));
    const auto result = F::l1_dssim_value_and_grad(x, y, options);
    EXPECT_NEAR(
        result.loss.item<double>(),
        reference.value.item<double>(),
        1e-6 * std::max(range, 1.0));
    expect_gradient(result.grad, reference.grad_input);
  }
}

TEST_P(SmoothL1Test, IsThatOfTorch) {
  const auto x = image({2, 3, 20, 31}, torch::kFloat64).requires_grad_();
  const auto y = image({2, 3, 20, 31}, torch::kFloat64);
  const auto options =
      L1DSSIMLossOptions().l1_weight(1).dssim_weight(0).smooth_l1_beta(0.2);
  const auto ours = F::l1_dssim_loss(x, y, options);
  const auto theirs = torch::nn::functional::smooth_l1_loss(
      x, y, torch::nn::functional::SmoothL1LossFuncOptions().beta(0.2));
  expect_scalar(ours, theirs, 1e-14);
  expect_gradient(
      torch::autograd::grad({ours}, {x})[0],
      torch::autograd::grad({theirs}, {x})[0]);
}

TEST_P(SmoothL1Test, ABetaOfZeroIsPlainL1) {
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    const auto x = image({3, 20, 41}, type), y = image({3, 20, 41}, type);
    for (const double lambda : {0.0, 0.4}) {
      const L1DSSIMLossOptions plain(lambda);
      const auto expected = F::l1_dssim_value_and_grad(x, y, plain);
      // The last one is so small that its reciprocal overflows.
      for (const double beta : {0.0, 1e-310}) {
        auto options = plain;
        const auto result =
            F::l1_dssim_value_and_grad(x, y, options.smooth_l1_beta(beta));
        expect_same_bits(result.loss, expected.loss);
        expect_same_bits(result.l1, expected.l1);
        expect_same_bits(result.grad, expected.grad);
      }
    }
  }
}

TEST_P(SmoothL1Test, AHugeBeta) {
  const auto x = image({3, 20, 41}, torch::kFloat32);
  const auto y = image({3, 20, 41}, torch::kFloat32);
  const auto options = L1DSSIMLossOptions(0).smooth_l1_beta(1e300);
  const auto result = F::l1_dssim_value_and_grad(x, y, options);
  EXPECT_EQ(result.loss.item<double>(), 0);
  EXPECT_EQ(result.grad.abs().max().item<double>(), 0);
}

TEST_P(SmoothL1Test, LogsTheTermOfTheLoss) {
  const auto x = image({3, 20, 41}, torch::kFloat32);
  const auto y = image({3, 20, 41}, torch::kFloat32);
  auto options = L1DSSIMLossOptions(0.4).smooth_l1_beta(0.3);
  const auto result = F::l1_dssim_value_and_grad(x, y, options);
  options.l1_weight(1).dssim_weight(0);
  expect_scalar(result.l1, expected(x, y, Spec(options)).value, 1e-6);
}

TEST_P(SmoothL1Test, IdenticalImages) {
  const auto x = image({3, 20, 41}, torch::kFloat32);
  const auto options = L1DSSIMLossOptions().smooth_l1_beta(0.1);
  const auto result = F::l1_dssim_value_and_grad(x, x, options);
  EXPECT_EQ(result.loss.item<double>(), 0);
  EXPECT_EQ(result.grad.abs().max().item<double>(), 0);
}

TEST_P(SmoothL1Test, IgnoresANaNUnderAWeightOfZero) {
  const auto x = image({3, 20, 41}, torch::kFloat32);
  const auto y = image({3, 20, 41}, torch::kFloat32);
  auto mask = torch::ones({20, 41}, x.options());
  mask.slice(1, 0, 20).zero_();
  auto spoilt = x.clone();
  spoilt.slice(2, 0, 9).fill_(NAN);
  for (const double lambda : {0.0, 0.4}) {
    const auto options = L1DSSIMLossOptions(lambda).smooth_l1_beta(0.3);
    const auto result = F::l1_dssim_value_and_grad(spoilt, y, options, mask);
    const auto reference = expected(x, y, Spec(options), mask);
    expect_scalar(result.loss, reference.value, 1e-6);
    expect_gradient(result.grad, reference.grad_input);
  }
}

TEST_P(SmoothL1Test, FiniteDifferences) {
  if (GetParam() == torch::kCUDA) {
    GTEST_SKIP() << "differences are taken through a pointer to host memory";
  }
  // The differences lie between 0.05 and 1, away from beta and from 0.
  const auto distance =
      0.05 + 0.35 * noise({1, 5, 6}) + 0.6 * (noise({1, 5, 6}) > 0.5);
  const auto y = noise({1, 5, 6});
  const auto x = y + torch::where(noise({1, 5, 6}) > 0.5, distance, -distance);
  for (const bool map : {false, true}) {
    const auto f = [&](const std::vector<torch::Tensor>& in) {
      auto options = L1DSSIMLossOptions(0.4).window_size(5).smooth_l1_beta(0.5);
      if (map) {
        options.reduction(torch::kNone);
      }
      return F::l1_dssim_loss(in[0], in[1], options);
    };
    EXPECT_LE(gradcheck(f, {x.to(device()), y.to(device())}), 1e-7);
    EXPECT_LE(gradgradcheck(f, {x.to(device()), y.to(device())}), 1e-6);
  }
}

FUSED_SSIM_ON_EACH_DEVICE(SmoothL1Test);

} // namespace
} // namespace fused_ssim::test
