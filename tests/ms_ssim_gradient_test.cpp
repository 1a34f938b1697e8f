// MS-SSIM: the ways to its derivatives.

#include "ms_ssim_test.h"

namespace fused_ssim::test {
namespace {

class MSSSIMGradientTest : public MSSSIMTest {};

TEST_P(MSSSIMGradientTest, OneGradientAloneIsThatOfBoth) {
  const auto x = image({3, 24, 36});
  const auto y = (x + 0.2 * image({3, 24, 36})).contiguous();
  expect_one_gradient_as_both(
      x, y, [](const torch::Tensor& a, const torch::Tensor& b) {
        return F::ms_ssim(a, b, small_options());
      });
}

TEST_P(MSSSIMGradientTest, ValueAndGradHasTheBitsOfTheAutogradPath) {
  for (const auto type :
       {torch::kFloat32, torch::kFloat64, torch::kFloat16, torch::kBFloat16}) {
    for (const auto& reduction :
         std::vector<MSSSIMOptions::reduction_t>{torch::kMean, torch::kSum}) {
      const auto x = image({2, 3, 23, 30}, type);
      const auto y = image({2, 3, 23, 30}, type);
      const auto options = small_options().reduction(reduction);
      const auto leaf = x.clone().requires_grad_();
      const auto value = F::ms_ssim(leaf, y, options);
      value.backward();
      const auto result = F::ms_ssim_value_and_grad(x, y, options);
      expect_same_bits(result.value, value.detach());
      expect_same_bits(result.grad, leaf.grad());
      EXPECT_FALSE(result.value.requires_grad());
    }
  }
}

TEST_P(MSSSIMGradientTest, RetainedGraph) {
  const auto x = image({2, 3, 23, 30}).requires_grad_();
  const auto y = image({2, 3, 23, 30});
  const auto value =
      F::ms_ssim(x, y, small_options().reduction(torch::kNone)).sum();
  const auto gradient = [&](bool retain) {
    return torch::autograd::grad({value}, {x}, {}, retain)[0];
  };
  const auto first = gradient(true);
  const auto kept = first.clone();
  expect_same_bits(gradient(true), first);
  expect_same_bits(gradient(false), kept);
  EXPECT_ANY_THROW(gradient(false));
}

TEST_P(MSSSIMGradientTest, FiniteDifferences) {
  if (GetParam() == torch::kCUDA) {
    GTEST_SKIP() << "differences are taken through a pointer to host memory";
  }
  const auto x = photograph({2, 2, 9, 12});
  const auto y = disturbed(x, 0.1);
  for (const auto& options :
       {small_options().weights({0.4, 0.6}).window_size(3),
        small_options().padding(torch::kSame).reduction(torch::kSum),
        small_options().padding(torch::kSame).reduction(torch::kNone)}) {
    const auto f = [&](const std::vector<torch::Tensor>& in) {
      return F::ms_ssim(in[0], in[1], options);
    };
    EXPECT_LE(gradcheck(f, {x, y}), 1e-7);
    EXPECT_LE(gradgradcheck(f, {x[0], y[0]}), 1e-5);
  }
}

TEST_P(MSSSIMGradientTest, SecondDerivativesOfMeansThatAreNotPositive) {
  const auto x = photograph({2, 20, 24});
  const auto a = leaf_of(x, device(), torch::kFloat64);
  const auto b = (1 - x).to(device());
  const auto value = F::ms_ssim(a, b, small_options());
  const auto gradient =
      torch::autograd::grad({value}, {a}, {}, true, /*create_graph=*/true)[0];
  gradient.square().sum().backward();
  EXPECT_EQ(a.grad().abs().max().item<double>(), 0);
}

FUSED_SSIM_ON_EACH_DEVICE(MSSSIMGradientTest);

} // namespace
} // namespace fused_ssim::test
