// The recipes of docs/integration.md. Each test compares the loss of a trainer,
// in plain tensor operations, with the call that replaces it.

#include "support.h"

#include <cmath>
#include <vector>

namespace fused_ssim::test {
namespace {

class IntegrationTest : public DeviceTest {
 protected:
  static constexpr double lambda = 0.2;

  void SetUp() override {
    DeviceTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    const Sizes sizes = {1, 3, 24, 30};
    const auto image = photograph(sizes)[0];
    gt = image.to(device(), torch::kFloat32);
    rendered = disturbed(image, 0.1).to(device(), torch::kFloat32);
    mask = torch::rand({24, 30}, gt.options());
  }

  /// Differentiable, by tensor operations. In float64, because convolutions of
  /// float32 may run in TF32.
  static torch::Tensor ssim_map(
      const torch::Tensor& x,
      const torch::Tensor& y,
      bool valid = false) {
    SSIMOptions options;
    if (valid) {
      options.padding(torch::kValid);
    }
    return reference_map(
        x.to(torch::kFloat64), y.to(torch::kFloat64), Spec(options));
  }

  /// Compares both losses, and their gradients in `image`.
  static void expect_same(
      const torch::Tensor& image,
      const torch::Tensor& before,
      const torch::Tensor& after) {
    EXPECT_NEAR(before.item<double>(), after.item<double>(), 2e-6);
    const auto old_gradient =
        torch::autograd::grad({before}, {image}, {}, /*retain_graph=*/true)[0];
    const auto new_gradient = torch::autograd::grad({after}, {image})[0];
    EXPECT_EQ(new_gradient.strides(), image.strides());
    const auto error = (new_gradient - old_gradient).norm();
    EXPECT_LT((error / old_gradient.norm()).item<double>(), 2e-5);
  }

  torch::Tensor rendered, gt; // [3, H, W]
  torch::Tensor mask; // [H, W]
};

TEST_P(IntegrationTest, InterleavedImagesAndAMask) {
  const auto rgb =
      rendered.permute({1, 2, 0}).contiguous().requires_grad_(); // [H, W, 3]
  const auto rgb_gt = gt.permute({1, 2, 0}).contiguous();
  const double ssim_weight = lambda;
  for (const auto& weights : {torch::Tensor(), mask}) {
    auto options = fused_ssim::L1DSSIMLossOptions(ssim_weight);
    if (!weights.defined()) {
      options.padding(torch::kValid).crop_l1(true);
    }
    const auto after = fused_ssim::functional::l1_dssim_loss(
        rgb.permute({2, 0, 1}), rgb_gt.permute({2, 0, 1}), options, weights);

    const auto x = rgb.permute({2, 0, 1}), y = rgb_gt.permute({2, 0, 1});
    const auto inner = [&](const torch::Tensor& t) {
      return t.slice(1, 5, -5).slice(2, 5, -5);
    };
    const auto weighted_mean = [&](const torch::Tensor& t) {
      return weights.defined() ? (t * weights).sum() / (3 * weights.sum())
                               : t.mean();
    };
    const auto difference = (x - y).abs();
    const auto l1 =
        weighted_mean(weights.defined() ? difference : inner(difference));
    const auto dssim = weighted_mean(1 - ssim_map(x, y, !weights.defined()));
    expect_same(rgb, (1 - ssim_weight) * l1 + ssim_weight * dssim, after);
  }
}

TEST_P(IntegrationTest, ImagesWithoutBatch) {
  const auto image = rendered.requires_grad_();
  const auto masked = image * mask;
  const auto l1 = (masked - gt).abs().mean();
  const auto before =
      (1.0 - lambda) * l1 + lambda * (1.0 - ssim_map(masked, gt).mean());
  const auto after = fused_ssim::functional::l1_dssim_loss(masked, gt, lambda);
  expect_same(image, before, after);
}

TEST_P(IntegrationTest, ALoopThatDrivesItsOwnBackward) {
  const auto image = rendered.clone().requires_grad_();
  const auto l1 = (image - gt).abs().mean();
  const auto ssim = ssim_map(image, gt).mean();
  ((1 - lambda) * l1 + lambda * (1 - ssim)).backward();

  const auto result =
      fused_ssim::functional::l1_dssim_value_and_grad(rendered, gt, lambda);
  EXPECT_NEAR(result.l1.item<double>(), l1.item<double>(), 1e-6);
  EXPECT_NEAR(result.ssim.item<double>(), ssim.item<double>(), 2e-6);
  const auto error = (result.grad - image.grad()).norm() / image.grad().norm();
  EXPECT_LT(error.item<double>(), 2e-5);
}

TEST_P(IntegrationTest, ACopiedKernel) {
  const auto image = rendered.requires_grad_();
  const auto value = ssim_map(image.unsqueeze(0), gt.unsqueeze(0)).mean();
  const auto before =
      (1.0 - lambda) * (image - gt).abs().mean() + lambda * (1.0 - value);
  const auto after = fused_ssim::functional::l1_dssim_loss(image, gt, lambda);
  expect_same(image, before, after);
}

/// Checks the weights in the recipe, and how far their centre is off.
TEST(OffCentreWindowTest, HasTheWeightsOfTheRecipe) {
  std::vector<double> weights;
  double sum = 0, moment = 0;
  for (int x = 0; x < 11; ++x) {
    const double sigma = 1.5;
    weights.push_back(std::exp(
        -std::pow(std::floor(float(x - 11) / 2), 2) / (2 * sigma * sigma)));
    sum += weights.back();
    moment += weights.back() * (x - 5);
  }
  const double printed[] = {
      0.0001,
      0.0014,
      0.0014,
      0.0104,
      0.0104,
      0.049,
      0.049,
      0.149,
      0.149,
      0.2902,
      0.2902};
  for (int x = 0; x < 11; ++x) {
    EXPECT_NEAR(weights[x] / sum, printed[x], 5e-5) << x;
  }
  EXPECT_NEAR(moment / sum, 3.36, 5e-3);
}

FUSED_SSIM_ON_EACH_DEVICE(IntegrationTest);

} // namespace
} // namespace fused_ssim::test
