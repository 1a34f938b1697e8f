// The recipes of docs/integration.md. Each test compares the loss of a trainer,
// in plain tensor operations, with the call that replaces it.

#include "support.h"

#include <algorithm>
#include <cmath>
#include <utility>
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

  static void compare_interleaved(
      const torch::Tensor& rendered, // [3, H, W]
      const torch::Tensor& target, // as rendered
      const torch::Tensor& mask, // [H, W], [0] or undefined
      double ssim_weight) {
    SCOPED_TRACE(testing::Message() << rendered.sizes() << ssim_weight);
    const auto rgb =
        rendered.permute({1, 2, 0}).contiguous().requires_grad_(); // [H, W, 3]
    const auto gt = target.permute({1, 2, 0}).contiguous();

    const bool has_mask = mask.defined() && mask.numel() > 0;
    const bool fits = std::min(rgb.size(0), rgb.size(1)) > 10;
    auto options = fused_ssim::L1DSSIMLossOptions(ssim_weight);
    if (!has_mask && fits && ssim_weight > 0) {
      options.padding(torch::kValid).crop_l1(true);
    }
    const auto after = fused_ssim::functional::l1_dssim_loss(
        rgb.permute({2, 0, 1}),
        gt.permute({2, 0, 1}),
        options,
        has_mask ? mask : torch::Tensor());

    // The trainer's: with a weight of 0 it takes plain L1, of the whole image.
    const auto x = rgb.permute({2, 0, 1}), y = gt.permute({2, 0, 1});
    const bool cropped = !has_mask && fits && ssim_weight > 0;
    const auto inner = [&](const torch::Tensor& t) {
      return cropped ? t.slice(1, 5, -5).slice(2, 5, -5) : t;
    };
    const auto weighted_mean = [&](const torch::Tensor& t) {
      return has_mask ? (t * mask).sum() / (3 * mask.sum()) : t.mean();
    };
    const auto l1 = weighted_mean(inner((x - y).abs()));
    const auto dssim = weighted_mean(1 - ssim_map(x, y, cropped));
    expect_same(rgb, (1 - ssim_weight) * l1 + ssim_weight * dssim, after);
  }

  torch::Tensor rendered, gt; // [3, H, W]
  torch::Tensor mask; // [H, W]
};

TEST_P(IntegrationTest, InterleavedImagesAndAMask) {
  const auto none = torch::Tensor();
  const auto empty =
      torch::empty({0}, gt.options()); // a trainer's word for none
  for (const double ssim_weight : {lambda, 0.0}) {
    for (const auto& weights : {none, empty, mask}) {
      compare_interleaved(rendered, gt, weights, ssim_weight);
    }
    // Too narrow to be cropped.
    compare_interleaved(
        rendered.slice(2, 0, 10), gt.slice(2, 0, 10), none, ssim_weight);
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

/// The images of a scene where the target shows something that the mask hides and that
/// the renderer is not to draw.
struct MaskedScene {
  torch::Tensor rendered, gt, mask; // [3, H, W], [3, H, W], [H, W] bool

  MaskedScene(const torch::Tensor& rendered, const torch::Tensor& gt)
      : rendered(rendered.clone()),
        gt(gt.clone()) {
    mask =
        torch::ones({gt.size(1), gt.size(2)}, gt.options().dtype(torch::kBool));
    mask.slice(0, 8, 16).slice(1, 10, 20).fill_(false);
  }

  /// The loss by `f`, and its gradient, if the hidden pixels of the target are `value`.
  template <typename F>
  std::pair<torch::Tensor, torch::Tensor> with(double value, const F& f) const {
    const auto image = rendered.clone().requires_grad_();
    const auto target = gt.masked_fill(mask.logical_not(), value);
    const auto loss = f(image, target, mask);
    return {loss.detach(), torch::autograd::grad({loss}, {image})[0]};
  }
};

TEST_P(IntegrationTest, AMaskAloneSeesWhatIsUnderIt) {
  const MaskedScene scene(rendered, gt);
  const auto loss = [](const torch::Tensor& rendered,
                       const torch::Tensor& gt,
                       const torch::Tensor& mask) {
    return fused_ssim::functional::l1_dssim_loss(rendered, gt, lambda, mask);
  };
  const auto [dark, dark_gradient] = scene.with(0, loss);
  const auto [bright, bright_gradient] = scene.with(1, loss);
  EXPECT_GT((dark - bright).abs().item<double>(), 1e-3);
  EXPECT_GT((dark_gradient - bright_gradient).abs().max().item<double>(), 1e-5);
}

TEST_P(IntegrationTest, CompositingUnderAMask) {
  const MaskedScene scene(rendered, gt);
  const auto loss = [](const torch::Tensor& rendered,
                       const torch::Tensor& gt,
                       const torch::Tensor& mask) {
    const auto seen = torch::where(mask, rendered, gt);
    return fused_ssim::functional::l1_dssim_loss(seen, gt, lambda, mask);
  };
  // A render that is right outside of the mask has no loss.
  const MaskedScene right(gt, gt);
  EXPECT_EQ(right.with(1, loss).first.item<double>(), 0);
  // No gradient reaches a hidden pixel, and what the renderer draws there is not seen.
  const auto [value, gradient] = scene.with(1, loss);
  const auto hidden = scene.mask.logical_not();
  EXPECT_EQ(gradient.masked_fill(scene.mask, 0).abs().max().item<double>(), 0);
  auto other = scene;
  other.rendered.masked_fill_(hidden, NAN);
  const auto [other_value, other_gradient] = other.with(1, loss);
  expect_same_bits(other_value, value);
  expect_same_bits(other_gradient, gradient);
}

TEST_P(IntegrationTest, ErodingAMask) {
  const MaskedScene scene(rendered, gt);
  const auto loss = [](const torch::Tensor& rendered,
                       const torch::Tensor& gt,
                       const torch::Tensor& mask) {
    const auto hidden =
        mask.logical_not().to(torch::kFloat32).unsqueeze(0); // [1, H, W]
    const auto near_hidden =
        torch::max_pool2d(hidden, /*kernel_size=*/11, /*stride=*/1, 5);
    return fused_ssim::functional::l1_dssim_loss(
        rendered, gt, lambda, near_hidden == 0);
  };
  const auto [dark, dark_gradient] = scene.with(0, loss);
  const auto [bright, bright_gradient] = scene.with(1, loss);
  EXPECT_NEAR(dark.item<double>(), bright.item<double>(), 1e-6);
  const auto error = (dark_gradient - bright_gradient).norm();
  EXPECT_LT((error / dark_gradient.norm()).item<double>(), 2e-5);
}

TEST_P(IntegrationTest, AMapForDensification) {
  const auto result = fused_ssim::functional::l1_dssim_value_and_grad(
      rendered, gt, lambda, {}, fused_ssim::ErrorMap::kDSSIM);
  const auto error = result.error_map.mean(0); // [H, W]
  const auto reference = (1 - ssim_map(rendered, gt)).mean(0);
  EXPECT_LT((error - reference).abs().max().item<double>(), 1e-5);
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
