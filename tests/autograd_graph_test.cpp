// Second derivatives: create_graph, and the graph that backward() then builds.

#include "support.h"

namespace fused_ssim::test {
namespace {

class AutogradGraphTest : public DeviceTest {
 protected:
  torch::Tensor image(const Sizes& sizes = {2, 7, 8}) const {
    return noise(sizes).to(device());
  }
};

using Images = std::vector<torch::Tensor>;

/// The operators in all variants that change their graph.
std::vector<std::pair<std::string, Function>> operators(
    const torch::Tensor& mask) {
  std::vector<std::pair<std::string, Function>> result;
  for (const bool valid : {false, true}) {
    for (const bool masked : {false, true}) {
      const auto weights = masked ? mask : torch::Tensor();
      for (const auto& reduction : std::vector<SSIMOptions::reduction_t>{
               torch::kMean, torch::kSum, torch::kNone}) {
        auto ssim = SSIMOptions().window_size(3).reduction(reduction);
        auto loss =
            L1DSSIMLossOptions(0.6).window_size(3).crop_l1(true).reduction(
                reduction);
        if (valid) {
          ssim.padding(torch::kValid);
          loss.padding(torch::kValid);
        }
        const auto name = std::string(valid ? "valid" : "same") +
            (masked ? ", masked, " : ", ") + name_of(reduction);
        result.emplace_back("ssim, " + name, [=](const Images& in) {
          return F::ssim(in[0], in[1], ssim, weights);
        });
        result.emplace_back("loss, " + name, [=](const Images& in) {
          return F::l1_dssim_loss(in[0], in[1], loss, weights);
        });
      }
    }
  }
  return result;
}

TEST_P(AutogradGraphTest, SecondDerivatives) {
  if (GetParam() == torch::kCUDA) {
    GTEST_SKIP() << "differences are taken through a pointer to host memory";
  }
  const auto x = image({1, 4, 5});
  // So far from x that |x - y| has a derivative.
  const auto y = image({1, 4, 5}) + 1.5;
  for (const auto& [name, f] : operators(image({4, 5}))) {
    SCOPED_TRACE(name);
    EXPECT_LE(gradgradcheck(f, {x, y}), 1e-6);
  }
}

TEST_P(AutogradGraphTest, FirstDerivativesAreThoseWithoutGraph) {
  for (const auto& [name, f] : operators(image({7, 8}))) {
    SCOPED_TRACE(name);
    const Images leaves = {image().requires_grad_(), image().requires_grad_()};
    const auto value = f(leaves);
    const auto upstream = torch::randn_like(value).detach();
    const auto with = torch::autograd::grad(
        {value}, leaves, {upstream}, true, /*create_graph=*/true);
    const auto without = torch::autograd::grad({value}, leaves, {upstream});
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(with[i].requires_grad());
      expect_gradient(with[i].detach(), without[i]);
    }
  }
}

TEST_P(AutogradGraphTest, GradientPenalty) {
  const auto options = SSIMOptions().window_size(5);
  const auto penalty = [&](const torch::Tensor& x,
                           const torch::Tensor& y,
                           const std::function<torch::Tensor()>& f) {
    const auto gradients =
        torch::autograd::grad({f()}, {x, y}, {}, true, /*create_graph=*/true);
    (gradients[0].square().sum() + gradients[1].exp().sum()).backward();
  };
  const auto x = image().requires_grad_();
  const auto y = image().requires_grad_();
  penalty(x, y, [&] { return F::ssim(x, y, options) * 3; });
  const auto a = exact(x).requires_grad_();
  const auto b = exact(y).requires_grad_();
  penalty(a, b, [&] { return reference(a, b, Spec(options)) * 3; });
  expect_gradient(x.grad(), a.grad());
  expect_gradient(y.grad(), b.grad());
}

TEST_P(AutogradGraphTest, OfOneImageAlone) {
  for (const bool of_target : {false, true}) {
    SCOPED_TRACE(of_target);
    const auto x = image().requires_grad_(!of_target);
    const auto y = image().requires_grad_(of_target);
    const auto& leaf = of_target ? y : x;
    const auto gradient = torch::autograd::grad(
        {F::l1_dssim_loss(x, y)}, {leaf}, {}, true, /*create_graph=*/true)[0];
    gradient.square().sum().backward();
    const auto a = exact(x).requires_grad_();
    const auto b = exact(y).requires_grad_();
    const auto reference_gradient = torch::autograd::grad(
        {reference(a, b, Spec(L1DSSIMLossOptions()))},
        {of_target ? b : a},
        {},
        true,
        /*create_graph=*/true)[0];
    reference_gradient.square().sum().backward();
    expect_gradient(leaf.grad(), (of_target ? b : a).grad());
    EXPECT_FALSE((of_target ? x : y).grad().defined());
  }
}

TEST_P(AutogradGraphTest, InputUsedTwice) {
  const auto a = image().requires_grad_();
  const auto gradient = torch::autograd::grad(
      {F::ssim(a, a * a)}, {a}, {}, true, /*create_graph=*/true)[0];
  gradient.square().sum().backward();
  const auto b = exact(a).requires_grad_();
  const auto of_reference = torch::autograd::grad(
      {reference(b, b * b, Spec(SSIMOptions()))},
      {b},
      {},
      true,
      /*create_graph=*/true)[0];
  expect_gradient(gradient.detach(), of_reference.detach());
  of_reference.square().sum().backward();
  expect_gradient(a.grad(), b.grad());

  const auto same = torch::autograd::grad(
      {F::ssim(a, a)}, {a}, {}, true, /*create_graph=*/true)[0];
  EXPECT_LE(same.abs().max().item<double>(), 1e-15);
}

TEST_P(AutogradGraphTest, ThirdOrder) {
  const auto third = [](const torch::Tensor& x, const torch::Tensor& value) {
    auto derivative = value;
    for (int i = 0; i < 3; ++i) {
      derivative = torch::autograd::grad(
          {derivative}, {x}, {}, true, /*create_graph=*/true)[0];
      derivative = derivative.square().sum();
    }
    return derivative.detach();
  };
  const auto x = image().requires_grad_();
  const auto y = image();
  const auto a = exact(x).requires_grad_();
  const auto spec = Spec(SSIMOptions().window_size(5));
  const auto actual = third(x, F::ssim(x, y, SSIMOptions().window_size(5)));
  const auto wanted = third(a, reference(a, exact(y), spec));
  EXPECT_NEAR(actual.item<double>() / wanted.item<double>(), 1, 1e-9);
}

TEST_P(AutogradGraphTest, Uint8TargetAndFloat32) {
  const auto x = image({3, 16, 20}).to(torch::kFloat32).requires_grad_();
  const auto y = torch::randint(256, {3, 16, 20}, torch::kUInt8).to(device());
  const auto gradient = torch::autograd::grad(
      {F::l1_dssim_loss(x, y)}, {x}, {}, true, /*create_graph=*/true)[0];
  expect_gradient(
      gradient.detach(), expected(x, y, Spec(L1DSSIMLossOptions())).grad_input);
}

// The graph must keep the tensors that it reads again.
TEST_P(AutogradGraphTest, ChangeInPlaceIsDetected) {
  const auto x = image().requires_grad_();
  const auto y = image();
  const auto loss = F::l1_dssim_loss(x, y);
  y.mul_(0.5);
  EXPECT_ERROR(
      torch::autograd::grad({loss}, {x}, {}, true, /*create_graph=*/true),
      testing::HasSubstr("in place"));
}

FUSED_SSIM_ON_EACH_DEVICE(AutogradGraphTest);

} // namespace
} // namespace fused_ssim::test
