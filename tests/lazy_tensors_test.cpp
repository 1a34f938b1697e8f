// Tensors whose memory does not hold what they mean: lazily negated ones, and zero
// tensors without memory. Each may come in as any argument, or as the upstream
// gradient.

#include "support.h"

namespace fused_ssim::test {
namespace {

/// `values` in a tensor that is negated lazily: the imaginary part of a conjugate.
torch::Tensor negated_lazily(const torch::Tensor& values) {
  const auto real = torch::zeros_like(values);
  const auto result = torch::imag(torch::complex(real, -values).conj());
  EXPECT_TRUE(result.is_neg());
  return result;
}

torch::Tensor zero_tensor_like(const torch::Tensor& values) {
  const auto result = torch::_efficientzerotensor(
      values.sizes(), values.options().requires_grad(false));
  EXPECT_TRUE(result._is_zerotensor());
  return result;
}

class LazyTensorsTest : public DeviceTest {
 protected:
  torch::Tensor image() const {
    return noise({3, 16, 25}).to(device(), torch::kFloat32);
  }

  /// Value and gradient, with and without autograd, are those of `plain` arguments.
  void compare(
      const torch::Tensor& input,
      const torch::Tensor& target,
      const torch::Tensor& mask,
      const torch::Tensor& plain_input,
      const torch::Tensor& plain_target,
      const torch::Tensor& plain_mask) const {
    const auto actual = F::l1_dssim_value_and_grad(input, target, {}, mask);
    const auto wanted =
        F::l1_dssim_value_and_grad(plain_input, plain_target, {}, plain_mask);
    expect_same_bits(actual.loss, wanted.loss);
    expect_same_bits(actual.grad, wanted.grad);
    const auto none = SSIMOptions().reduction(torch::kNone);
    expect_same_bits(
        F::ssim(input, target, none, mask),
        F::ssim(plain_input, plain_target, none, plain_mask));
    const auto gradient = [](const torch::Tensor& x,
                             const torch::Tensor& y,
                             const torch::Tensor& w) {
      const auto leaf = x.detach().requires_grad_();
      return torch::autograd::grad(
          {F::l1_dssim_loss(leaf, y, {}, w)}, {leaf})[0];
    };
    expect_same_bits(
        gradient(input, target, mask),
        gradient(plain_input, plain_target, plain_mask));
  }
};

TEST_P(LazyTensorsTest, NegatedArguments) {
  const auto x = image(), y = image();
  const auto w = image()[0];
  compare(negated_lazily(x), y, {}, x, y, {});
  compare(x, negated_lazily(y), {}, x, y, {});
  compare(x, y, negated_lazily(w), x, y, w);
}

TEST_P(LazyTensorsTest, ZeroTensorsAsArguments) {
  const auto x = image();
  const auto w = image()[0];
  const auto zeros = torch::zeros_like(x);
  compare(zero_tensor_like(x), x, w, zeros, x, w);
  compare(x, zero_tensor_like(x), w, x, zeros, w);
  compare(x, x, zero_tensor_like(w), x, x, torch::zeros_like(w));
}

/// The gradient for an upstream gradient of another kind of tensor, of the same values.
template <typename Make>
void compare_upstream(
    const torch::Tensor& value, // of `x`
    const torch::Tensor& x,
    const torch::Tensor& upstream,
    const Make& make) {
  for (const bool create_graph : {false, true}) {
    const auto wanted = torch::autograd::grad(
        {value}, {x}, {upstream}, /*retain_graph=*/true, create_graph)[0];
    const auto actual = torch::autograd::grad(
        {value}, {x}, {make(upstream)}, /*retain_graph=*/true, create_graph)[0];
    expect_same_bits(actual.detach(), wanted.detach());
  }
}

TEST_P(LazyTensorsTest, Upstream) {
  const auto x = image().requires_grad_();
  const auto y = image();
  const auto w = image()[0];
  const auto map = F::ssim(x, y, SSIMOptions().reduction(torch::kNone));
  const auto masked = F::ssim(x, y, SSIMOptions().reduction(torch::kNone), w);
  const auto mean = F::l1_dssim_loss(x, y);
  const auto upstream = torch::randn_like(map).detach();
  const auto factor = upstream[0][0][0];
  for (const auto& each : {map, masked}) {
    compare_upstream(each, x, upstream, negated_lazily);
    compare_upstream(each, x, torch::zeros_like(upstream), zero_tensor_like);
  }
  compare_upstream(mean, x, factor, negated_lazily);
  compare_upstream(mean, x, torch::zeros_like(factor), zero_tensor_like);
}

// As a program comes to it: through the imaginary part of a conjugate.
TEST_P(LazyTensorsTest, ThroughAConjugate) {
  const auto x = image().requires_grad_();
  const auto y = image();
  const auto map = F::ssim(x, y, SSIMOptions().reduction(torch::kNone));
  const auto z = torch::complex(torch::zeros_like(map), map);
  torch::imag(z.conj().resolve_conj()).sum().backward();
  const auto sum = SSIMOptions().reduction(torch::kSum);
  expect_gradient(x.grad(), -expected(x, y, Spec(sum)).grad_input);
}

FUSED_SSIM_ON_EACH_DEVICE(LazyTensorsTest);

} // namespace
} // namespace fused_ssim::test
