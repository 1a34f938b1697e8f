#include "ranks.h"

#include <fused_ssim/distributed.h>
#include <fused_ssim/fused_ssim.h>

namespace fused_ssim::test {
namespace {

namespace D = fused_ssim::distributed;
namespace F = fused_ssim::functional;

void test_backward_alone(Ranks& ranks) {
  ranks.begin("only the last rank calls backward()");
  const Images images(ranks, 8);
  const auto x = images.own_x.clone().requires_grad_();
  const auto loss = D::l1_dssim_loss(x, images.own_y, ranks.group());
  if (ranks.rank() == ranks.size() - 1) {
    loss.backward();
    const auto whole = F::l1_dssim_value_and_grad(images.x, images.y);
    ranks.expect(
        torch::allclose(x.grad(), images.own(whole.grad, ranks), 1e-5, 1e-9),
        "wrong gradient");
  }
}

void test_retained_graph(Ranks& ranks) {
  ranks.begin("a graph that is retained");
  const Images images(ranks, 5);
  const auto x = images.own_x.clone().requires_grad_();
  const auto loss = D::ssim(x, images.own_y, ranks.group());
  const auto gradient = [&](double upstream, bool retain) {
    x.mutable_grad() = torch::Tensor();
    loss.backward(torch::full_like(loss, upstream), retain);
    return x.grad();
  };
  const auto doubled = gradient(2, true), once = gradient(1, false);
  ranks.expect(torch::equal(doubled, 2 * once), "2 is not twice 1");
}

void test_different_needs(Ranks& ranks) {
  ranks.begin("only the first rank needs a gradient");
  const Images images(ranks, 4);
  const auto x = images.own_x.clone().requires_grad_(ranks.rank() == 0);
  const auto loss = D::l1_dssim_loss(x, images.own_y, ranks.group());
  ranks.expect(
      loss.requires_grad() == x.requires_grad(), "the graph is not as x");
  const auto whole = F::l1_dssim_value_and_grad(images.x, images.y);
  ranks.expect(torch::allclose(loss, whole.loss, 0, 1e-7), "wrong value");
  if (x.requires_grad()) {
    loss.backward();
    ranks.expect(
        torch::allclose(x.grad(), images.own(whole.grad, ranks), 1e-5, 1e-9),
        "wrong gradient");
  }
}

void test_empty_batch(Ranks& ranks) {
  ranks.begin("an empty batch");
  const Images images(ranks, 4, /*batch=*/0);
  const auto mean = D::l1_dssim_value_and_grad(
      images.own_x, images.own_y, ranks.group(), {}, {}, ErrorMap::kLoss);
  ranks.expect(torch::isnan(mean.loss).item<bool>(), "a mean that is no NaN");
  ranks.expect(mean.grad.sizes() == images.own_x.sizes(), "wrong sizes");
  ranks.expect(mean.error_map.sizes() == images.own_x.sizes(), "wrong map");
  const auto sum = D::ssim(
      images.own_x,
      images.own_y,
      ranks.group(),
      SSIMOptions().reduction(torch::kSum));
  ranks.expect(sum.item<double>() == 0, "a sum that is not 0");
}

/// On CUDA the edges of small strips are not computed apart from the middle.
void test_large_strips(Ranks& ranks) {
  if (!ranks.device().is_cuda()) {
    return;
  }
  ranks.begin("large strips");
  const Images images(ranks, 1800, /*batch=*/1, /*width=*/2400);
  const auto mask = images.x[0][0] > 0.3;
  const auto kind = ErrorMap::kLoss;
  const auto whole =
      F::l1_dssim_value_and_grad(images.x, images.y, {}, mask, kind);
  const auto split = D::l1_dssim_value_and_grad(
      images.own_x,
      images.own_y,
      ranks.group(),
      {},
      images.own(mask, ranks),
      kind);
  ranks.expect(torch::allclose(split.loss, whole.loss, 0, 1e-7), "wrong value");
  const auto gradient = images.own(whole.grad, ranks);
  ranks.expect(
      ((split.grad - gradient).norm() / gradient.norm()).item<double>() <= 1e-6,
      "wrong gradient");
  const auto map = images.own(whole.error_map, ranks);
  ranks.expect(
      ((split.error_map - map).norm() / map.norm()).item<double>() <= 1e-6,
      "wrong map");
}

void test_zero_mask(Ranks& ranks) {
  ranks.begin("a mask of zeros");
  const Images images(ranks, 6);
  const auto zero = torch::zeros({6, 29}, images.x.options());
  const auto nothing = D::l1_dssim_value_and_grad(
      images.own_x, images.own_y, ranks.group(), {}, zero);
  ranks.expect(nothing.loss.item<double>() == 0, "the loss is not 0");
  ranks.expect(nothing.ssim.item<double>() == 1, "SSIM is not 1");
  ranks.expect(nothing.grad.eq(0).all().item<bool>(), "the gradient is not 0");
}

void test_zero_tensor(Ranks& ranks) {
  ranks.begin("a tensor without memory");
  const Images images(ranks, 6);
  const auto zero =
      torch::_efficientzerotensor(images.own_y.sizes(), images.own_y.options());
  const auto split = D::ssim(images.own_x, zero, ranks.group());
  const auto whole = F::ssim(images.x, torch::zeros_like(images.y));
  ranks.expect(torch::allclose(split, whole, 0, 1e-7), "wrong value");
}

} // namespace

void test_calls(Ranks& ranks) {
  test_backward_alone(ranks);
  test_retained_graph(ranks);
  test_different_needs(ranks);
  test_empty_batch(ranks);
  test_large_strips(ranks);
  test_zero_mask(ranks);
  test_zero_tensor(ranks);
}

} // namespace fused_ssim::test
