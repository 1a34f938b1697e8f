// The rules that every autograd operator follows. autograd_graph_test.cpp has
// second derivatives, and threads_test.cpp has threads.

#include "support.h"

namespace fused_ssim::test {
namespace {

const auto kNone = SSIMOptions().reduction(torch::kNone);

class AutogradTest : public DeviceTest {
 protected:
  torch::Tensor image(const Sizes& sizes = {3, 16, 25}) const {
    return noise(sizes).to(device());
  }
  torch::Tensor leaf(const Sizes& sizes = {3, 16, 25}) const {
    return image(sizes).requires_grad_();
  }
  /// d loss / d x for an upstream gradient of 1.
  static torch::Tensor gradient(
      const torch::Tensor& x,
      const torch::Tensor& y) {
    return expected(x, y, Spec(L1DSSIMLossOptions())).grad_input;
  }
};

TEST_P(AutogradTest, NonUnitUpstream) {
  const auto x = leaf();
  const auto y = image();
  for (const double factor : {1.0, 0.5, -3.0, 0.0, 1e6}) {
    SCOPED_TRACE(factor);
    x.mutable_grad() = torch::Tensor();
    (F::l1_dssim_loss(x, y) * factor).backward();
    expect_gradient(x.grad(), factor * gradient(x, y));
  }
  x.mutable_grad() = torch::Tensor();
  F::l1_dssim_loss(x, y).backward(
      torch::full({1}, 2.0, x.options().requires_grad(false)).expand({3})[1]);
  expect_gradient(x.grad(), 2 * gradient(x, y));
}

TEST_P(AutogradTest, RetainedGraph) {
  const auto x = leaf();
  const auto y = leaf();
  const auto g = gradient(x, y);
  const auto loss = F::l1_dssim_loss(x, y);
  const auto scaled_by = [&](double factor) {
    return torch::full({}, factor, x.options().requires_grad(false));
  };
  const auto next = [&](double factor, bool retain) {
    return torch::autograd::grad(
        {loss}, {x, y}, {scaled_by(factor)}, retain)[0];
  };
  const auto first = next(3, true);
  expect_gradient(first, 3 * g);
  const auto second = next(1, true);
  expect_gradient(second, g);
  const auto third = next(-2, false);
  expect_gradient(third, -2 * g);
  // No two of them share memory.
  expect_gradient(first, 3 * g);
  expect_gradient(second, g);
}

TEST_P(AutogradTest, RetainedGraphOfAMap) {
  const auto x = leaf();
  const auto y = image();
  const auto map = F::ssim(x, y, kNone);
  for (const bool retain : {true, true, false}) {
    const auto upstream = torch::randn_like(map).detach();
    const auto g = torch::autograd::grad({map}, {x}, {upstream}, retain)[0];
    expect_gradient(g, expected(x, y, Spec(kNone), {}, upstream).grad_input);
  }
}

TEST_P(AutogradTest, SecondBackwardWithoutRetainIsRefused) {
  const auto x = leaf();
  const auto y = image();
  const auto twice = [&](const torch::Tensor& value) {
    value.sum().backward();
    EXPECT_ERROR(value.sum().backward(), testing::HasSubstr("retain_graph"));
  };
  twice(F::l1_dssim_loss(x, y));
  twice(F::ssim(x, y, kNone));
}

// The caller may change .grad. It is not the saved gradient.
TEST_P(AutogradTest, ChangedGradientDoesNotReachTheNextBackward) {
  const auto x = leaf();
  const auto y = image();
  const auto loss = F::l1_dssim_loss(x, y);
  loss.backward({}, /*retain_graph=*/true);
  {
    const torch::NoGradGuard no_grad;
    x.grad().zero_();
  }
  loss.backward();
  expect_gradient(x.grad(), gradient(x, y));
}

TEST_P(AutogradTest, Accumulates) {
  const auto x = leaf();
  const auto y = image();
  const auto z = image();
  F::l1_dssim_loss(x, y).backward();
  F::l1_dssim_loss(x, z).backward();
  expect_gradient(x.grad(), gradient(x, y) + gradient(x, z));
}

TEST_P(AutogradTest, SeveralLossesSummed) {
  const auto x = leaf();
  const auto y = image();
  const auto z = image();
  const auto loss = F::l1_dssim_loss(x, y) + 2 * F::l1_dssim_loss(z, x) -
      3 * F::ssim(x, z) + x.square().mean();
  loss.backward();
  const auto ssim = expected(x, z, Spec(SSIMOptions())).grad_input;
  expect_gradient(
      x.grad(),
      gradient(x, y) + 2 * gradient(x, z) - 3 * ssim +
          exact(2 * x.detach() / static_cast<double>(x.numel())));
}

TEST_P(AutogradTest, InputUsedTwice) {
  const auto a = leaf();
  const auto ssim = F::ssim(a, a);
  EXPECT_EQ(ssim.item<double>(), 1);
  ssim.backward();
  EXPECT_EQ(a.grad().abs().max().item<double>(), 0);

  a.mutable_grad() = torch::Tensor();
  F::l1_dssim_loss(a, a.flip({2}) * 0.9).backward();
  const auto reference_leaf = exact(a).requires_grad_();
  reference(
      reference_leaf,
      reference_leaf.flip({2}) * 0.9,
      Spec(L1DSSIMLossOptions()))
      .backward();
  expect_gradient(a.grad(), reference_leaf.grad());

  // Both gradients of one map go to one image.
  a.mutable_grad() = torch::Tensor();
  const auto map = F::ssim(a, a, kNone);
  map.backward(torch::rand_like(map).detach());
  EXPECT_LE(a.grad().abs().max().item<double>(), 1e-15);
}

TEST_P(AutogradTest, OnlyWhatIsNeeded) {
  const auto x = leaf();
  const auto y = leaf();
  const auto reference = expected(x, y, Spec(L1DSSIMLossOptions()));

  F::l1_dssim_loss(x, y.detach()).backward();
  expect_gradient(x.grad(), reference.grad_input);
  EXPECT_FALSE(y.grad().defined());

  x.mutable_grad() = torch::Tensor();
  F::l1_dssim_loss(x.detach(), y).backward();
  EXPECT_FALSE(x.grad().defined());
  expect_gradient(y.grad(), reference.grad_target);

  const auto of_y = torch::autograd::grad({F::l1_dssim_loss(x, y)}, {y})[0];
  expect_gradient(of_y, reference.grad_target);
  EXPECT_FALSE(x.grad().defined());

  const auto map = F::ssim(x, y, kNone);
  const auto of_x =
      torch::autograd::grad({map}, {x}, {torch::ones_like(map).detach()})[0];
  expect_gradient(of_x, expected(x, y, Spec(kNone)).grad_input);
}

/// Backward after a change in place either throws an error, in torch's words or
/// in ours, or returns the gradient at the values of the forward call.
void expect_detected_or_harmless(
    const torch::Tensor& value,
    const torch::Tensor& x,
    const torch::Tensor& before) {
  try {
    const auto g = torch::autograd::grad({value.sum()}, {x})[0];
    expect_gradient(g, before);
  } catch (const c10::Error& error) {
    EXPECT_THAT(error.what_without_backtrace(), testing::HasSubstr("in place"));
  }
}

TEST_P(AutogradTest, ChangeInPlaceBetweenForwardAndBackward) {
  for (const bool of_target : {false, true}) {
    for (const bool as_map : {false, true}) {
      SCOPED_TRACE(testing::Message() << of_target << as_map);
      const auto x = leaf();
      const auto y = image();
      const auto options = as_map ? kNone : SSIMOptions();
      const auto before = expected(x, y, Spec(options)).grad_input;
      const auto value = F::ssim(x, y, options);
      {
        const torch::NoGradGuard no_grad;
        (of_target ? y : x).mul_(0.5);
      }
      expect_detected_or_harmless(value, x, before);
    }
  }
}

TEST_P(AutogradTest, ChangeOfAMaskInPlace) {
  const auto x = leaf();
  const auto y = image();
  auto mask = image({16, 25});
  const auto before = expected(x, y, Spec(kNone), mask).grad_input;
  const auto map = F::ssim(x, y, kNone, mask);
  mask.zero_();
  expect_detected_or_harmless(map, x, before);
}

// The gradient belongs to the graph of the forward call.
TEST_P(AutogradTest, DetachedBetweenForwardAndBackward) {
  const auto y = image();
  const auto scaled_by = [](const torch::Tensor& x) { return 2 * x; };
  for (const bool create_graph : {false, true}) {
    for (const auto& options : {SSIMOptions(), kNone}) {
      SCOPED_TRACE(testing::Message() << create_graph);
      const auto x = leaf();
      auto input = scaled_by(x);
      const auto value = F::ssim(input, y, options).sum();
      input.detach_();
      const auto gradient =
          torch::autograd::grad({value}, {x}, {}, true, create_graph)[0];
      const auto wanted = expected(scaled_by(x), y, Spec(options)).grad_input;
      expect_gradient(gradient.detach(), 2 * wanted);

      auto target = scaled_by(x);
      const auto swapped = F::ssim(y, target, options).sum();
      target.detach_();
      expect_gradient(
          torch::autograd::grad({swapped}, {x}, {}, true, create_graph)[0]
              .detach(),
          2 * wanted);
    }
  }
}

TEST_P(AutogradTest, ViewsOfLeaves) {
  const auto buffer = leaf({2, 3, 40, 50});
  const auto y = image();
  const auto view = buffer[1].slice(1, 3, 19).slice(2, 7, 32);
  F::l1_dssim_loss(view, y).backward();
  auto whole = torch::zeros({2, 3, 40, 50}, torch::kFloat64);
  whole[1].slice(1, 3, 19).slice(2, 7, 32).copy_(gradient(view, y));
  expect_gradient(buffer.grad(), whole);

  const auto picture = leaf({16, 25, 3});
  F::l1_dssim_loss(picture.permute({2, 0, 1}), y).backward();
  expect_gradient(
      picture.grad(),
      gradient(picture.permute({2, 0, 1}), y).permute({1, 2, 0}));

  const auto channels = leaf({3, 16, 25}).unbind(0);
  EXPECT_NO_THROW(
      F::ssim(channels[0].unsqueeze(0), y.narrow(0, 0, 1)).backward());
}

TEST_P(AutogradTest, Hooks) {
  const auto x = leaf();
  const auto y = image();
  const auto rendered = x * 1.0;
  int calls = 0;
  rendered.register_hook([&](const torch::Tensor& g) {
    ++calls;
    return g * 2;
  });
  x.register_hook([&](const torch::Tensor&) { ++calls; });
  const auto loss = F::l1_dssim_loss(rendered, y);
  loss.register_hook([&](const torch::Tensor& g) {
    ++calls;
    return g * 5;
  });
  loss.backward();
  EXPECT_EQ(calls, 3);
  expect_gradient(x.grad(), 10 * gradient(x, y));
}

TEST_P(AutogradTest, NoGradGuard) {
  const auto x = leaf();
  const auto y = image();
  const auto with_graph = F::l1_dssim_loss(x, y);
  EXPECT_TRUE(with_graph.grad_fn());
  const torch::NoGradGuard no_grad;
  for (const auto& value :
       {F::l1_dssim_loss(x, y), F::ssim(x, y), F::ssim(x, y, kNone)}) {
    EXPECT_FALSE(value.requires_grad());
    EXPECT_FALSE(value.grad_fn());
  }
  expect_scalar(F::l1_dssim_loss(x, y), with_graph.detach(), 1e-14);
  EXPECT_FALSE(SSIMFunction::apply(x, y, SSIMOptions(), torch::Tensor())
                   .requires_grad());
}

TEST_P(AutogradTest, WithoutRequiresGradNothingIsSaved) {
  const auto x = image();
  const auto y = image();
  const auto uses = x.use_count();
  const auto storage_uses = x.storage().use_count();
  for (const auto& value : {F::l1_dssim_loss(x, y), F::ssim(x, y, kNone)}) {
    EXPECT_FALSE(value.requires_grad());
    EXPECT_FALSE(value.grad_fn());
    EXPECT_EQ(x.use_count(), uses);
    EXPECT_EQ(x.storage().use_count(), storage_uses);
  }
}

TEST_P(AutogradTest, BackwardReleasesWhatWasSaved) {
  const auto x = leaf();
  const auto y = image();
  const auto uses = y.use_count();
  for (const auto& options : {SSIMOptions(), kNone}) {
    const auto value = F::ssim(x, y, options).sum();
    value.backward();
    EXPECT_EQ(y.use_count(), uses);
  }
}

TEST_P(AutogradTest, InferenceMode) {
  const auto x = image();
  const auto y = image();
  const auto plain = F::l1_dssim_loss(x, y);
  const auto leaf = x.clone().requires_grad_();
  torch::Tensor inference_image;
  {
    const c10::InferenceMode guard;
    inference_image = x.clone();
    const auto value = F::l1_dssim_loss(inference_image, y);
    EXPECT_TRUE(value.is_inference());
    EXPECT_EQ(value.item<double>(), plain.item<double>());
    const auto of_leaf = F::l1_dssim_loss(leaf, y);
    EXPECT_FALSE(of_leaf.requires_grad());
    EXPECT_EQ(F::ssim(leaf, y, kNone).sizes(), x.sizes());
  }
  // Outside of the mode, an inference tensor can be a target: the gradient goes
  // to the other image.
  const auto loss = F::l1_dssim_loss(leaf, inference_image);
  loss.backward();
  EXPECT_LE(leaf.grad().abs().max().item<double>(), 0);
}

TEST_P(AutogradTest, FunctionsThemselves) {
  const auto x = leaf();
  const auto y = image();
  const auto options = L1DSSIMLossOptions(0.3);
  const auto loss = L1DSSIMFunction::apply(x, y, options, torch::Tensor());
  expect_scalar(loss, F::l1_dssim_loss(x, y, options), 0);
  loss.backward();
  expect_gradient(x.grad(), expected(x, y, Spec(options)).grad_input);
  x.mutable_grad() = torch::Tensor();
  SSIMFunction::apply(x, y, SSIMOptions(), torch::Tensor()).backward();
  expect_gradient(x.grad(), expected(x, y, Spec(SSIMOptions())).grad_input);
}

TEST_P(AutogradTest, OptimisesAnImage) {
  const auto target = photograph({3, 24, 31}).to(device(), torch::kFloat32);
  const auto x = torch::full_like(target, 0.5).requires_grad_();
  torch::optim::Adam optimizer({x}, torch::optim::AdamOptions(0.05));
  const double before = F::ssim(x, target).item<double>();
  for (int i = 0; i < 60; ++i) {
    optimizer.zero_grad();
    F::l1_dssim_loss(x, target).backward();
    optimizer.step();
  }
  const double after = F::ssim(x, target).item<double>();
  EXPECT_LT(before, 0.8);
  EXPECT_GT(after, 0.95);
}

FUSED_SSIM_ON_EACH_DEVICE(AutogradTest);

} // namespace
} // namespace fused_ssim::test
