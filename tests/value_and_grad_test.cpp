#include "support.h"

#include <cmath>

namespace fused_ssim::test {
namespace {

class ValueAndGradTest : public DeviceTest {
 protected:
  torch::Tensor image(const Sizes& sizes, torch::ScalarType type) const {
    return noise(sizes).to(device(), type);
  }

  std::vector<L1DSSIMLossOptions> variants() const {
    return {
        L1DSSIMLossOptions(),
        L1DSSIMLossOptions(0.7).padding(torch::kValid),
        L1DSSIMLossOptions(0.7).padding(torch::kValid).crop_l1(true),
        L1DSSIMLossOptions(0.7).reduction(torch::kSum).window_size(5),
        L1DSSIMLossOptions(0),
        L1DSSIMLossOptions(1),
    };
  }
};

TEST_P(ValueAndGradTest, HasTheBitsOfTheAutogradPath) {
  for (const auto type :
       {torch::kFloat32, torch::kFloat64, torch::kFloat16, torch::kBFloat16}) {
    const auto x = image({2, 3, 23, scaled(140, 45)}, type);
    const auto y = image({2, 3, 23, scaled(140, 45)}, type);
    const std::vector<torch::Tensor> masks = {
        {}, image({23, x.size(3)}, type), image({23, x.size(3)}, type) > 0.4};
    for (const auto& options : variants()) {
      for (const auto& mask : masks) {
        SCOPED_TRACE(testing::Message() << type << L1DSSIMLoss(options));
        const auto leaf = x.clone().requires_grad_();
        const auto loss = F::l1_dssim_loss(leaf, y, options, mask);
        loss.backward();
        const auto result = F::l1_dssim_value_and_grad(x, y, options, mask);
        expect_same_bits(result.loss, loss.detach());
        expect_same_bits(result.grad, leaf.grad());

        // So it is where the target's gradient is computed beside.
        const auto other = x.clone().requires_grad_();
        const auto target = y.clone().requires_grad_();
        const auto same_loss = F::l1_dssim_loss(other, target, options, mask);
        same_loss.backward();
        expect_same_bits(result.loss, same_loss.detach());
        expect_same_bits(result.grad, other.grad());
      }
    }
  }
}

TEST_P(ValueAndGradTest, LogsTheMeans) {
  const auto x = image({2, 3, 23, 45}, torch::kFloat32);
  const auto y = image({2, 3, 23, 45}, torch::kFloat32);
  const auto weights = image({23, 45}, torch::kFloat32);
  for (const auto& mask : {torch::Tensor(), weights}) {
    for (const auto& options : variants()) {
      SCOPED_TRACE(testing::Message() << L1DSSIMLoss(options));
      const auto result = F::l1_dssim_value_and_grad(x, y, options, mask);
      // The results are means for each reduction and each weight of the terms.
      auto terms = options;
      terms.reduction(torch::kMean).l1_weight(1).dssim_weight(0);
      expect_scalar(result.l1, expected(x, y, Spec(terms), mask).value, 1e-6);
      terms.l1_weight(0).dssim_weight(1);
      expect_scalar(
          1 - result.ssim, expected(x, y, Spec(terms), mask).value, 1e-6);
    }
  }
}

TEST_P(ValueAndGradTest, IsNoPartOfAGraph) {
  const auto x = image({3, 23, 45}, torch::kFloat32).requires_grad_();
  const auto y = image({3, 23, 45}, torch::kFloat32).requires_grad_();
  const auto result = F::l1_dssim_value_and_grad(x, y);
  for (const auto& tensor :
       {result.loss, result.l1, result.ssim, result.grad}) {
    EXPECT_FALSE(tensor.requires_grad());
    EXPECT_FALSE(tensor.grad_fn());
  }
  EXPECT_TRUE(torch::GradMode::is_enabled());
  EXPECT_FALSE(x.grad().defined());
}

TEST_P(ValueAndGradTest, DrivesABackwardByHand) {
  const auto leaf = image({23, 45, 3}, torch::kFloat64).requires_grad_();
  const auto y = image({3, 23, 45}, torch::kFloat64);
  const auto rendered = leaf.square().permute({2, 0, 1});
  const auto result = F::l1_dssim_value_and_grad(rendered, y);
  EXPECT_EQ(result.grad.strides(), rendered.strides());
  rendered.backward(result.grad);

  const auto other = leaf.detach().clone().requires_grad_();
  F::l1_dssim_loss(other.square().permute({2, 0, 1}), y).backward();
  expect_same_bits(leaf.grad(), other.grad());
}

TEST_P(ValueAndGradTest, UnderInferenceMode) {
  const auto x = image({3, 23, 45}, torch::kFloat32);
  const auto y = image({3, 23, 45}, torch::kFloat32);
  const auto plain = F::l1_dssim_value_and_grad(x, y);
  const c10::InferenceMode guard;
  const auto result = F::l1_dssim_value_and_grad(x.clone(), y.clone());
  EXPECT_EQ(result.loss.item<double>(), plain.loss.item<double>());
  EXPECT_EQ((result.grad - plain.grad).abs().max().item<double>(), 0);
}

TEST_P(ValueAndGradTest, EmptyBatch) {
  const auto x = torch::empty({0, 3, 16, 16}, device());
  const auto result = F::l1_dssim_value_and_grad(x, x);
  EXPECT_TRUE(std::isnan(result.loss.item<double>()));
  EXPECT_TRUE(std::isnan(result.l1.item<double>()));
  EXPECT_TRUE(std::isnan(result.ssim.item<double>()));
  EXPECT_EQ(result.grad.sizes(), x.sizes());
}

FUSED_SSIM_ON_EACH_DEVICE(ValueAndGradTest);

} // namespace
} // namespace fused_ssim::test
